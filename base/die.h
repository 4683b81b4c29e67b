/* die.h - the end of a process on a fault that cannot be repaired.
 *
 * One rank's fault ends the whole job, since ranks that are out of step cannot be brought back into it. */
#ifndef BASE_DIE_H
#define BASE_DIE_H

/* Logs the message, calls the hook (a rank's reports the reason to the other ranks) and exits with EXIT_SOFTWARE. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* The same with an exit code of its own: EXIT_CONFIG where starting the job again would end the same way. */
void die_as(int exit_code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void on_die(void (*call)(void *arg, const char *why), void *arg);

/* An invariant of this code. Never use it on what a client or a file says. */
#define REQUIRE(cond) ((cond) ? (void)0 : die("%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond))

#endif
