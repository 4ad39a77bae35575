/* The program: finds the command, runs it, prints what failed. main.c calls it in the target that was chosen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

static int exit_status(ho_status status) {
    switch (status) {
    case HO_OK:
        return 0;
    case HO_EUSAGE:
    case HO_ECONFIG:
        return 2;
    case HO_EINTERRUPT:
        return EX_TEMPFAIL;
    default:
        return 1;
    }
}

static ho_status run_command(int argc, char **argv) {
    if (argc < 2) {
        HO_FAIL(HO_EUSAGE, "no command given; 'handsoff help' lists the commands");
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        return ho_cmd_version(name, argc - 2, argv + 2);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return ho_cmd_help(name, argc - 2, argv + 2);
    }
    ho_command command;
    HO_TRY(ho_command_find(name, &command));
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        return ho_cmd_help(name, 1, argv + 1);
    }
    return command.run(name, argc - 2, argv + 2);
}

int ho_program_end(ho_status status) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        const int error = errno;
        if (status == HO_OK) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot write to standard output: %s", strerror(error));
        }
    }
    if (status == HO_EINTERRUPT) {
        fprintf(stderr, "handsoff: interrupted: %s; the same command goes on\n", ho_error());
    } else if (status != HO_OK) {
        fprintf(stderr, "handsoff: %s\n", ho_error());
    }
    return exit_status(status);
}

int ho_program(int argc, char **argv) {
    return ho_program_end(run_command(argc, argv));
}
