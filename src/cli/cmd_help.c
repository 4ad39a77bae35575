/* handsoff help [COMMAND | config],  handsoff --version */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void print_commands(void) {
    printf("handsoff: labelled image sets from a few labels and a StyleGAN2 generator\n\n");
    ho_command command;
    for (int i = 0; ho_command_at(i, &command); ++i) {
        printf("  handsoff %-18s%s\n", command.name, command.help);
    }
    printf(
        "\n'handsoff help COMMAND' says more; 'handsoff help config' lists the keys of a config file.\n"
        "Exit status: 0 done, 1 failed, 2 wrong command line or config, 75 interrupted: the same command goes on.\n");
}

ho_status ho_cmd_help(const char *name, int argc, char **argv) {
    if (argc > 1) {
        HO_FAIL(HO_EUSAGE, "%s: one command at most, found '%.80s' after '%.80s'", name, argv[1], argv[0]);
    }
    if (argc == 0) {
        print_commands();
        return HO_OK;
    }
    if (strcmp(argv[0], "config") == 0) {
        ho_config_print_help(stdout);
        return HO_OK;
    }
    ho_command command;
    HO_TRY(ho_command_find(argv[0], &command));
    printf("handsoff %s %s\n\n%s\n%s%s", command.name, command.usage, command.help, command.detail != NULL ? "\n" : "",
           command.detail != NULL ? command.detail : "");
    if (command.run == ho_cmd_import_data) {
        ho_print_formats();
    }
    if (command.run == ho_cmd_export_data) {
        ho_print_export_formats();
    }
    return HO_OK;
}

ho_status ho_cmd_version(const char *name, int argc, char **argv) {
    if (argc > 0) {
        HO_FAIL(HO_EUSAGE, "%s: nothing may follow, found '%.80s'", name, argv[0]);
    }
    printf("handsoff %s\n", HO_VERSION);
    return HO_OK;
}
