/* Messages for people, to stderr. Levels: info is silenced by -q, warn never. Ranks other than 0 print warnings with
 * their rank in front, and no info. One line a message. */
#ifndef WS_CORE_LOG_H
#define WS_CORE_LOG_H

#include <stdbool.h>

void ws_log_setup(bool quiet, int rank, int size);
bool ws_log_is_quiet(void);
void ws_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ws_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Progress shown on the terminal's last line is cleared before a message; used by cluster/progress. */
void ws_log_status_line(const char *text); /* NULL clears; does nothing unless stderr is a terminal */

#endif
