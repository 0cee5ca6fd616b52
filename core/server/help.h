/* help.h: --help, the manual page and the example file, written from the tables of options and commands, so that they cannot disagree. */
#ifndef RELAY_SERVER_HELP_H
#define RELAY_SERVER_HELP_H

#include <stdio.h>

void help_print(FILE *);   /* --help */
void help_manual(FILE *);  /* --manual-page: roff, man(7) */
void help_example(FILE *); /* --example-config */

#endif
