/* page.h: the reference of lua/README.md: a table of the hooks, and one of the members of all that scripts see. Made of the rows of
 * reference.h and of hook_rules.
 */
#ifndef RELAY_POLICY_PAGE_H
#define RELAY_POLICY_PAGE_H

#include <stdio.h>

void page_print(FILE *);

#endif
