/* tsan.c: what ThreadSanitizer has to be told; linked into everything that is built with it.
 *
 * It keeps a stack of the calls that are under way and learns from its own longjmp which of them have ended. Debian's liblua leaves a
 * coroutine by the fortified __longjmp_chk, which it does not know: each yield out of our code would leave a call there for ever, and a
 * copy of that ever longer stack is kept with each block of memory that is allocated.
 */
#include <setjmp.h>

void __longjmp_chk(jmp_buf env, int value) __attribute__((noreturn));

void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}
