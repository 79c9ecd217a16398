/* The scenarios of librdkafka: librdkafka HOST:PORT [SCENARIO].
 *
 * Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no
 * ports, no times of the broker. Built against Debian's librdkafka, which is old: a test of old versions. */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *bootstrap;

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"cluster", scenario_cluster},   {"topics", scenario_topics},         {"configs", scenario_configs},
    {"produce", scenario_produce},   {"codecs", scenario_codecs},         {"errors", scenario_errors},
    {"offsets", scenario_offsets},   {"autocreate", scenario_autocreate}, {"sessions", scenario_sessions},
};

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: librdkafka HOST:PORT [SCENARIO]\n");
        return 2;
    }
    bootstrap = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (argc < 3 || strcmp(argv[2], scenarios[i].name) == 0) {
            printf("# %s\n", scenarios[i].name);
            scenarios[i].run();
        }
    }
    return 0;
}
