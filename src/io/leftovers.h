/* Files are written under the name PATH.tmp.PROCESS until they are whole. A process that is killed leaves its own
 * behind.
 */
#ifndef HANDSOFF_LEFTOVERS_H
#define HANDSOFF_LEFTOVERS_H

/* Removes unfinished files of `path` that processes of this machine left which are no more. */
void ho_remove_leftovers(const char *path);
/* Removes those of all files with the ending of `path` (".png") in its folder. */
void ho_remove_folder_leftovers(const char *path);
/* Removes unfinished folders of that name likewise, with all that is in them. */
void ho_remove_leftover_folders(const char *path);
/* Removes a folder with all that is in it; links are not followed. */
void ho_remove_tree(const char *path);

#endif
