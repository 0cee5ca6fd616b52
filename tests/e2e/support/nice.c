/* nice: two agents of libnice that may use nothing but a relay send each other messages; built and run by stacks.py.
 *
 *     nice HOST PORT udp|tcp|tls USER PASSWORD MESSAGES
 *
 * Prints "MESSAGES MESSAGES", what each agent received in order, and exits 0 when it is all; 1 when it is not within ten seconds. What
 * libnice calls TLS is plain TCP on the port for TLS. */
#include <agent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_S = 10, PAUSE_MS = 1, COMPONENT = NICE_COMPONENT_TYPE_RTP };

struct side {
    NiceAgent *agent;
    guint stream;
    struct side *other;
    struct talk *talk;
    gboolean ready;
    int sent, received; /* received: in order, without a gap */
};

struct talk {
    GMainLoop *loop;
    struct side sides[2];
    int messages;
};

static void receive(NiceAgent *agent, guint stream, guint component, guint len, gchar *bytes, gpointer data)
{
    struct side *side = data;
    (void)agent, (void)stream, (void)component;
    if (len == sizeof side->received && memcmp(bytes, &side->received, len) == 0)
        side->received++;
    if (side->received == side->talk->messages && side->other->received == side->talk->messages)
        g_main_loop_quit(side->talk->loop);
}

static gboolean speak(gpointer data)
{
    struct talk *talk = data;
    for (int i = 0; i < 2; i++) {
        struct side *side = &talk->sides[i];
        if (!talk->sides[0].ready || !talk->sides[1].ready || side->sent == talk->messages)
            continue;
        if (nice_agent_send(side->agent, side->stream, COMPONENT, sizeof side->sent, (const gchar *)&side->sent) == sizeof side->sent)
            side->sent++;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean give_up(gpointer data)
{
    g_main_loop_quit(((struct talk *)data)->loop);
    return G_SOURCE_REMOVE;
}

static void change(NiceAgent *agent, guint stream, guint component, guint state, gpointer data)
{
    (void)agent, (void)stream, (void)component;
    ((struct side *)data)->ready = state == NICE_COMPONENT_STATE_READY;
}

/* both have gathered: each learns of the other what a signalling channel would carry */
static void introduce(struct side *to, struct side *of)
{
    gchar *fragment, *password;
    GSList *candidates = nice_agent_get_local_candidates(of->agent, of->stream, COMPONENT);
    for (GSList *at = candidates; at; at = at->next)
        if (((NiceCandidate *)at->data)->type != NICE_CANDIDATE_TYPE_RELAYED)
            fprintf(stderr, "a candidate that is not relayed\n");
    nice_agent_get_local_credentials(of->agent, of->stream, &fragment, &password);
    nice_agent_set_remote_credentials(to->agent, to->stream, fragment, password);
    nice_agent_set_remote_candidates(to->agent, to->stream, COMPONENT, candidates);
    g_slist_free_full(candidates, (GDestroyNotify)nice_candidate_free);
    g_free(fragment);
    g_free(password);
}

static void gathered(NiceAgent *agent, guint stream, gpointer data)
{
    struct side *side = data;
    (void)agent, (void)stream;
    side->ready = TRUE;
    if (!side->other->ready)
        return;
    side->ready = side->other->ready = FALSE;
    introduce(side, side->other);
    introduce(side->other, side);
}

static void prepare(struct talk *talk, int number, char **argv)
{
    struct side *side = &talk->sides[number];
    NiceRelayType type = strcmp(argv[3], "udp") == 0   ? NICE_RELAY_TYPE_TURN_UDP
                         : strcmp(argv[3], "tcp") == 0 ? NICE_RELAY_TYPE_TURN_TCP
                                                       : NICE_RELAY_TYPE_TURN_TLS;
    NiceAddress local;
    side->talk = talk;
    side->other = &talk->sides[!number];
    side->agent = nice_agent_new(g_main_loop_get_context(talk->loop), NICE_COMPATIBILITY_RFC5245);
    g_object_set(side->agent, "controlling-mode", number == 0, "force-relay", TRUE, "ice-tcp", FALSE, "upnp", FALSE, NULL);
    g_signal_connect(side->agent, "candidate-gathering-done", G_CALLBACK(gathered), side);
    g_signal_connect(side->agent, "component-state-changed", G_CALLBACK(change), side);
    nice_address_init(&local);
    nice_address_set_from_string(&local, argv[1]);
    nice_agent_add_local_address(side->agent, &local);
    side->stream = nice_agent_add_stream(side->agent, 1);
    nice_agent_set_relay_info(side->agent, side->stream, COMPONENT, argv[1], (guint)atoi(argv[2]), argv[4], argv[5], type);
    nice_agent_attach_recv(side->agent, side->stream, COMPONENT, g_main_loop_get_context(talk->loop), receive, side);
}

int main(int argc, char **argv)
{
    struct talk talk = {.loop = g_main_loop_new(NULL, FALSE)};
    if (argc != 7)
        return 2;
    talk.messages = atoi(argv[6]);
    for (int i = 0; i < 2; i++)
        prepare(&talk, i, argv);
    for (int i = 0; i < 2; i++)
        if (!nice_agent_gather_candidates(talk.sides[i].agent, talk.sides[i].stream))
            return 1;
    g_timeout_add(PAUSE_MS, speak, &talk);
    g_timeout_add_seconds(LIMIT_S, give_up, &talk);
    g_main_loop_run(talk.loop);
    printf("%d %d\n", talk.sides[0].received, talk.sides[1].received);
    for (int i = 0; i < 2; i++)
        g_object_unref(talk.sides[i].agent);
    g_main_loop_unref(talk.loop);
    return talk.sides[0].received == talk.messages && talk.sides[1].received == talk.messages ? 0 : 1;
}
