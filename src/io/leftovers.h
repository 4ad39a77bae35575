/* Files are written under the name PATH.tmp.PROCESS until they are whole. A process that is killed leaves its own
 * behind.
 */
#ifndef HANDSOFF_LEFTOVERS_H
#define HANDSOFF_LEFTOVERS_H

/* Removes unfinished files of `path` that processes of this machine left which are no more. */
void ho_remove_leftovers(const char *path);
/* Removes those of all files with the ending of `path` (".png") in its folder. */
void ho_remove_folder_leftovers(const char *path);

#endif
