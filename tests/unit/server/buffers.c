/* what is said of the buffers of listening sockets */
#include "server/buffers.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define WANTED UDP_LISTEN_BUFFER

static void says(struct udp_buffer_sizes got, const char *wanted)
{
    const struct service service = {.buffers = got};
    char *said;
    size_t len;
    FILE *out = open_memstream(&said, &len);
    buffers_print(&service, out);
    fclose(out);
    CHECK_TEXT(said, wanted);
    free(said);
}

TEST(enough_is_told_as_it_is)
{
    says((struct udp_buffer_sizes){WANTED, WANTED}, "socket buffers  4096 KiB to receive, 4096 KiB to send\n");
    says((struct udp_buffer_sizes){2 * WANTED, 2 * WANTED}, "socket buffers  8192 KiB to receive, 8192 KiB to send\n");
}

TEST(what_is_missing_is_named_with_its_remedy)
{
    says((struct udp_buffer_sizes){212992, 212992}, "socket buffers  208 KiB to receive, 208 KiB to send; 4096 are wanted: raise net.core.rmem_max and "
                                                    "net.core.wmem_max, or start with CAP_NET_ADMIN\n");
    says((struct udp_buffer_sizes){212992, WANTED},
         "socket buffers  208 KiB to receive, 4096 KiB to send; 4096 are wanted: raise net.core.rmem_max, or start with CAP_NET_ADMIN\n");
    says((struct udp_buffer_sizes){WANTED, 212992},
         "socket buffers  4096 KiB to receive, 208 KiB to send; 4096 are wanted: raise net.core.wmem_max, or start with CAP_NET_ADMIN\n");
}

TEST_LIST(RUN(enough_is_told_as_it_is) RUN(what_is_missing_is_named_with_its_remedy))
