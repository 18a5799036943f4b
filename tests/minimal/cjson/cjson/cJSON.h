/* cJSON's calls where cJSON is not installed: there are no documents, so that options have their defaults. For the minimal build. */
#ifndef WS_MINIMAL_CJSON_H
#define WS_MINIMAL_CJSON_H

#include <stddef.h>

typedef struct cJSON {
    struct cJSON *next, *child;
    char *valuestring, *string;
    double valuedouble;
} cJSON;

#define cJSON_IsArray(value) ((void)(value), 0)
#define cJSON_IsBool(value) ((void)(value), 0)
#define cJSON_IsFalse(value) ((void)(value), 0)
#define cJSON_IsTrue(value) ((void)(value), 0)
#define cJSON_IsNull(value) ((void)(value), 0)
#define cJSON_IsNumber(value) ((void)(value), 0)
#define cJSON_IsObject(value) ((void)(value), 0)
#define cJSON_IsString(value) ((void)(value), 0)
#define cJSON_GetArraySize(value) ((void)(value), 0)
#define cJSON_GetObjectItemCaseSensitive(value, key) ((void)(value), (void)(key), (cJSON *)NULL)
#define cJSON_CreateObject() ((cJSON *)NULL)
#define cJSON_CreateArray() ((cJSON *)NULL)
#define cJSON_CreateNull() ((cJSON *)NULL)
#define cJSON_CreateBool(value) ((void)(value), (cJSON *)NULL)
#define cJSON_CreateNumber(value) ((void)(value), (cJSON *)NULL)
#define cJSON_CreateString(value) ((void)(value), (cJSON *)NULL)
#define cJSON_CreateStringArray(values, count) ((void)(values), (void)(count), (cJSON *)NULL)
#define cJSON_AddItemToObject(object, key, value) ((void)(object), (void)(key), (void)(value), 0)
#define cJSON_Delete(value) ((void)(value))
#define cJSON_DetachItemViaPointer(object, value) ((void)(object), (value))

#endif
