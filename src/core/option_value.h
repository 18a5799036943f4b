/* Inside core: one option's value from text, and choices. Shared by option.c and command_line.c. */
#ifndef WS_CORE_OPTION_VALUE_H
#define WS_CORE_OPTION_VALUE_H

#include "option.h"

size_t ws_option_choice_count(const char *choices);
const char *ws_option_choice(const char *choices, size_t index, size_t *length);
int ws_option_find_choice(const char *choices, const char *text); /* -1: none */
/* Sets the field; when the text does not fit, leaves it and says why in `what`. Lists are appended to. */
WS_MUST ws_err ws_option_from_text(const ws_option *option, const char *text, ws_arena *arena, void *values,
                                   ws_text *what);

#endif
