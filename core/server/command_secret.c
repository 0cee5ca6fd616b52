/* command_secret.c: relay secret add. The secret comes from standard input only: argv is everybody's to read. */
#include "server/command_line.h"

#include "base/crypto.h"
#include "turn/verdict.h"

#define SECRET_MAX 512

int command_secret_add(const struct command_line *line)
{
    char secret[SECRET_MAX] = "", who[COMMAND_WHO_MAX], realm[OPAQUE_MAX_LEN + 1] = "";
    const int code = line->realm && *line->realm ? command_prepare(line, "--realm", line->realm, REALM_MAX_LEN, realm) : 0;
    if (code)
        return code;
    if (command_read_line(NULL, secret, sizeof secret))
        return command_fail(line, COMMAND_FAILED, "standard input: no secret in its first line");
    struct desk *desk = command_desk(line, true);
    const int err = desk ? desk_secret_add(desk, realm, secret, command_who(who)) : 0;
    crypto_wipe(secret, sizeof secret);
    return desk ? command_end(line, desk, err) : COMMAND_FAILED;
}
