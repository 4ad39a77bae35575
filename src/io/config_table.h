/* The table behind handsoff/config.h. */
#ifndef HANDSOFF_CONFIG_TABLE_H
#define HANDSOFF_CONFIG_TABLE_H

typedef enum { HO_KEY_INT, HO_KEY_REAL, HO_KEY_BOOL, HO_KEY_TEXT, HO_KEY_INTS } ho_key_type;

typedef struct {
    const char *key;
    ho_key_type type;
    double low, high;    /* inclusive range of numbers                    */
    const char *value;   /* default, as it would be written in the file   */
    const char *choices; /* "a|b|c" for a text or an integer that must be one of a few */
    const char *help;
} ho_config_key;

extern const ho_config_key HO_CONFIG_KEYS[];
extern const int HO_N_CONFIG_KEYS;

#endif
