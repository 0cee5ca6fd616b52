/* stubs.h: what scripts have, as a file for lua-language-server: classes with their fields, functions with what they take and return, and
 * the class of a policy with its hooks. Made of the rows of reference.h and of hook_rules.
 */
#ifndef RELAY_POLICY_STUBS_H
#define RELAY_POLICY_STUBS_H

#include <stdio.h>

void stubs_print(FILE *);

#endif
