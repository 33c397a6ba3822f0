/* Loaded into PostgreSQL before its own libraries: while the file that SLOW_SYNC_WHILE names is there, each sync takes 1.5 s longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_for_the_disk(void)
{
    const char *flag = getenv("SLOW_SYNC_WHILE");
    struct timespec left = {1, 500000000};

    if (flag && access(flag, F_OK) == 0)
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
}

int fsync(int file)
{
    wait_for_the_disk();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file)
{
    wait_for_the_disk();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(file);
}
