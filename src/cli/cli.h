/* What the files of the program share. Commands return a status; program.c alone prints errors. */
#ifndef HANDSOFF_CLI_H
#define HANDSOFF_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/run.h"
#include "handsoff/status.h"

/* A command. `run` gets the words that follow the command's name. */
typedef struct {
    const char *name;
    const char *usage;  /* what follows the name */
    const char *help;   /* one line */
    const char *detail; /* further lines for `help NAME`, or NULL */
    ho_status (*run)(const char *name, int argc, char **argv);
    bool computes; /* on tensors: it matters on which target it runs */
} ho_command;

/* The whole program but the choice of the target: runs the command of argv, prints what failed; the exit status. */
int ho_program(int argc, char **argv);
/* Flushes the output, prints what failed; the exit status. */
int ho_program_end(ho_status status);

/* The command of that name, stages included; HO_EUSAGE with the nearest name when there is none. */
ho_status ho_command_find(const char *name, ho_command *command);
/* Number `i` of all commands in the order of `help`; false behind the last one. */
bool ho_command_at(int i, ho_command *command);

/* An option "--name VALUE" or "--name=VALUE" (value != NULL), or a flag "--name" (flag != NULL). */
typedef struct {
    const char *name; /* with the two dashes */
    const char **value;
    bool *flag;
    bool required;
} ho_option;

/* Takes options out of argv; the other words move to its front, and *n_words counts them. "--" ends the options.
 * HO_EUSAGE for unknown, repeated, incomplete and missing options. */
ho_status ho_options_parse(const char *command, int argc, char **argv, int n_options, const ho_option *options,
                           int *n_words);
/* A number with nothing behind it, in the range; HO_EUSAGE naming the option otherwise. */
ho_status ho_option_real(const char *option, const char *text, double low, double high, double *value);
/* "0-3,7" -> 0 1 2 3 7; *seeds is malloc'd. */
ho_status ho_option_seeds(const char *option, const char *text, int64_t *n_seeds, uint32_t **seeds);

/* A line on standard error that tells how many images are done: rewritten on a terminal, every ten seconds elsewhere.
 */
typedef struct {
    const char *command;
    double start, said;
    bool terminal;
    int64_t first; /* images that were there before: they do not count for the rate */
} ho_progress_line;
ho_progress_line ho_progress_line_begin(const char *command);
/* `user` is an ho_progress_line. False once a signal asked the program to stop. */
bool ho_progress_line_show(void *user, int64_t done, int64_t total);

ho_status ho_cmd_run(const char *name, int argc, char **argv);
ho_status ho_cmd_stage(const char *name, int argc, char **argv);
/* As ho_cmd_stage, or with --format a folder into a file. */
ho_status ho_cmd_import_data(const char *name, int argc, char **argv);
void ho_print_formats(void);
ho_status ho_cmd_export_data(const char *name, int argc, char **argv);
void ho_print_export_formats(void);
ho_status ho_cmd_synth(const char *name, int argc, char **argv);
ho_status ho_cmd_lpips(const char *name, int argc, char **argv);
ho_status ho_cmd_import_weights(const char *name, int argc, char **argv);
ho_status ho_cmd_export_weights(const char *name, int argc, char **argv);
ho_status ho_cmd_info(const char *name, int argc, char **argv);
ho_status ho_cmd_help(const char *name, int argc, char **argv);
ho_status ho_cmd_version(const char *name, int argc, char **argv);

#endif
