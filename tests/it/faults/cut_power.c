/* Shuts the ext4 file system of a folder down as a power cut does: nothing is written from now on, not even its own journal, and
   what was written but not synced is gone when it is mounted again. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define SHUTDOWN _IOR('X', 125, uint32_t)

int main(int count, char **arguments)
{
    uint32_t without_flushing_the_log = 2;
    int folder = open(count > 1 ? arguments[1] : ".", O_RDONLY);

    if (folder < 0 || ioctl(folder, SHUTDOWN, &without_flushing_the_log) != 0) {
        perror("cut_power");
        return 1;
    }
    return 0;
}
