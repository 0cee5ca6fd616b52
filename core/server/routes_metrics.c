/* routes_metrics.c: GET /metrics. */
#include "server/routes.h"

#include "server/metric.h"

#include <stdlib.h>

void routes_metrics(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out)
        metric_write(&(struct metric_sources){routes->service, routes->policies}, out);
    if (!out || fclose(out) != 0) {
        free(text);
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    door_answer_text(request, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text);
}
