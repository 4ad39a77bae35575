/* Files of a stage under --force. */
#include "outputs.h"

#include <sys/stat.h>

bool ho_output_survives_force(ho_run *run, const char *stage, const char *path) {
    struct stat mark, file;
    if (stat(ho_run_path(run, "checkpoints/%s.forced", stage), &mark) != 0 || stat(path, &file) != 0) {
        return true;
    }
    return file.st_mtim.tv_sec > mark.st_mtim.tv_sec ||
           (file.st_mtim.tv_sec == mark.st_mtim.tv_sec && file.st_mtim.tv_nsec > mark.st_mtim.tv_nsec);
}
