/*
 * A power cut for real processes: preloaded into a node, this keeps beside every file of a directory tree the content
 * that is certainly on the disk ("shadow"), by watching what is synced. After the process was killed with -9, run.ts puts
 * together what a power failure at that moment may have left: each sector that differs from its shadow is old or new by chance.
 *
 *   POWERCUT_ROOT    only files below this path are watched (real path, no trailing slash)
 *   POWERCUT_SHADOW  directory for the shadows: one file per inode, and "names", a journal of synced directories
 *   POWERCUT_FAIL    if set to n > 0: the n-th synced write fails with EIO, after it reached the page cache
 *
 * Synced are: what fsync and fdatasync cover, taken as of their beginning, and each pwrite to a descriptor opened with O_DSYNC.
 * Build: cc -shared -fPIC -O2 -o shim.so shim.c -ldl -lpthread
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int synced_writes = 0;

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_open)(const char *, int, ...);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void resolve(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_open = dlsym(RTLD_NEXT, "open64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
}

/* What cannot be recorded would make every verdict worthless. */
static void broken(const char *what) {
  fprintf(stderr, "powercut shim: %s: %s\n", what, strerror(errno));
  abort();
}

/* Path of a watched descriptor, or 0. */
static int watched(int fd, char *path, struct stat *st) {
  const char *root = getenv("POWERCUT_ROOT");
  if (root == NULL || getenv("POWERCUT_SHADOW") == NULL) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n < 0) return 0;
  path[n] = 0;
  size_t length = strlen(root);
  if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != 0)) return 0;
  return fstat(fd, st) == 0;
}

static int open_shadow(ino_t inode, int flags) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%lu", getenv("POWERCUT_SHADOW"), (unsigned long)inode);
  int fd = real_open(path, flags | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) broken("opening a shadow");
  return fd;
}

static void put(int fd, const char *bytes, size_t size, off64_t at) {
  while (size > 0) {
    ssize_t n = real_pwrite(fd, bytes, size, at);
    if (n <= 0) broken("writing a shadow");
    bytes += n;
    at += n;
    size -= n;
  }
}

/* The directory's names and inodes as of now, as text: "D path", then "N inode name" each, then "." */
static char *listing(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) broken("listing a directory");
  size_t size = 0;
  char *text = NULL;
  FILE *out = open_memstream(&text, &size);
  fprintf(out, "D %s\n", path);
  struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    if (entry->d_type == DT_REG) fprintf(out, "N %lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
  }
  fprintf(out, ".\n");
  fclose(out);
  closedir(dir);
  return text;
}

static int synced(int fd, int (*real)(int)) {
  char path[PATH_MAX];
  struct stat st;
  if (!watched(fd, path, &st)) return real(fd);
  if (S_ISDIR(st.st_mode)) {
    char *text = listing(path);
    int result = real(fd);
    if (result == 0) {
      char journal[PATH_MAX];
      snprintf(journal, sizeof journal, "%s/names", getenv("POWERCUT_SHADOW"));
      pthread_mutex_lock(&lock);
      int out = real_open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (out < 0 || write(out, text, strlen(text)) != (ssize_t)strlen(text)) broken("writing the journal of names");
      close(out);
      pthread_mutex_unlock(&lock);
    }
    free(text);
    return result;
  }
  /* The descriptor may be open for writing only: read through one of our own. */
  int in = real_open(path, O_RDONLY | O_CLOEXEC);
  char *content = malloc(st.st_size + 1);
  if (in < 0 || content == NULL || pread(in, content, st.st_size, 0) != st.st_size) broken("reading what is synced");
  close(in);
  int result = real(fd);
  if (result == 0) {
    int shadow = open_shadow(st.st_ino, O_WRONLY);
    put(shadow, content, st.st_size, 0);
    close(shadow);
  }
  free(content);
  return result;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  char path[PATH_MAX];
  struct stat st;
  if ((fcntl(fd, F_GETFL) & O_DSYNC) == 0 || !watched(fd, path, &st)) return real_pwrite(fd, bytes, size, at);
  ssize_t n = real_pwrite(fd, bytes, size, at);
  if (n <= 0) return n;
  const char *fail = getenv("POWERCUT_FAIL");
  pthread_mutex_lock(&lock);
  int count = ++synced_writes;
  pthread_mutex_unlock(&lock);
  if (fail != NULL && atoi(fail) > 0 && count >= atoi(fail)) {
    errno = EIO;
    return -1;
  }
  int shadow = open_shadow(st.st_ino, O_WRONLY);
  put(shadow, bytes, n, at);
  close(shadow);
  return n;
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

/*
 * A removed file may come back with the power, for its name was not synced away. So its inode must not be taken by a new file,
 * whose shadow would be in its place: a second name beside the shadows keeps it.
 */
int unlink(const char *path) {
  char real[PATH_MAX];
  struct stat st;
  int fd = real_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return real_unlink(path);
  if (watched(fd, real, &st)) {
    char held[PATH_MAX];
    snprintf(held, sizeof held, "%s/removed-%lu", getenv("POWERCUT_SHADOW"), (unsigned long)st.st_ino);
    if (link(path, held) != 0 && errno != EEXIST) broken("keeping a removed file");
  }
  close(fd);
  return real_unlink(path);
}

/* The shadow of a new file starts empty. */
static int opened(const char *path, int flags, mode_t mode) {
  int fd = real_open(path, flags, mode);
  char real[PATH_MAX];
  struct stat st;
  if (fd >= 0 && (flags & O_CREAT) != 0 && watched(fd, real, &st) && st.st_size == 0) {
    close(open_shadow(st.st_ino, O_WRONLY | O_TRUNC));
  }
  return fd;
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return opened(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return opened(path, flags, mode);
}
