/* page.c: the pages, which load nothing from elsewhere and are framed by nobody. */
#include "admin/page.h"

#include <microhttpd.h>
#include <string.h>

#define POLICY                                                                                                                             \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "   \
    "frame-ancestors 'none'"

static const struct page *find(const char *path)
{
    const struct page *page = pages;
    while (page->path && strcmp(page->path, path) != 0)
        page++;
    return page;
}

void page_serve(void *ctx, struct door_request *request)
{
    const struct page *page = find(door_path(request));
    (void)ctx;
    door_say(request, "Content-Security-Policy", POLICY);
    door_say(request, "X-Content-Type-Options", "nosniff");
    door_say(request, "Referrer-Policy", "no-referrer");
    if (page->path)
        door_answer_text(request, MHD_HTTP_OK, page->media, strdup(page->text));
    else
        door_refuse(request, MHD_HTTP_NOT_FOUND, "not found");
}
