/* handsoff: chooses the target that computes and hands it the command line. Exit status: 0 done, 1 failed, 2 wrong
 * command line or config, 75 (EX_TEMPFAIL of sysexits.h) interrupted, and the same command goes on. */
#include <stdio.h>

#include "cli.h"
#include "target.h"

int main(int argc, char **argv) {
    ho_target target;
    char note[512] = "";
    const ho_status status = ho_target_choose(&argc, argv, &target, note, sizeof note);
    if (status != HO_OK) {
        return ho_program_end(status);
    }
    if (note[0] != '\0') {
        fprintf(stderr, "handsoff: %s\n", note);
    }
    return target.program(argc, argv);
}
