/* Replays a corpus through a fuzzer's entry point, so that ordinary test runs repeat what fuzzing once found.
 *
 * Owns      main() of every fuzz program that is built without libFuzzer: each argument is a folder of inputs or a
 * file. Relies on LLVMFuzzerTestOneInput of the program it is linked to. Not here  making inputs: that is libFuzzer's
 * work (preset fuzz).
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1u << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int passed;
static int failed;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    uint8_t *exact;
    size_t size;

    if (file == NULL || data == NULL) {
        printf("[  FAILED  ] %s\n", path);
        failed++;
    } else {
        size = fread(data, 1, INPUT_MAX, file);
        exact = malloc(size > 0 ? size : 1); /* a copy of its own, so that a read beyond the end is seen */
        if (exact != NULL) {
            for (size_t i = 0; i < size; i++) {
                exact[i] = data[i];
            }
            printf("[ RUN      ] %s\n", path);
            fflush(stdout);
            (void)LLVMFuzzerTestOneInput(exact, size);
            printf("[       OK ] %s\n", path);
            passed++;
        }
        free(exact);
    }
    free(data);
    if (file != NULL) {
        fclose(file);
    }
}

static void replay(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[4096];

    if (dir == NULL) {
        replay_file(path);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
            replay_file(name);
        }
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed > 0 || passed == 0;
}
