// The floor: what it costs to move single records, and nothing else.
//
// A server receives framed records over loopback, writes each to the end of a file of its partition, answers, and
// hands it to a reader that asked. One thread, epoll, no protocol beyond a length, no checks, no metadata, no
// recovery: what a broker costs beyond this is its own. With `sync`, every file that was written to is synced
// before its records are answered and handed out; what arrives meanwhile goes together.
//
//     floor RATE SECONDS DIRECTORY [sync]
//
// The client is the parent of the server: open loop, times count from the moment at which a record was due. Prints
// one JSON object: latencies in ms, and the CPU time of the server in µs a record.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Bytes on the wire as Kafka has them for a record of 1 KiB: a Produce, its answer, a Fetch, and what a Fetch says
// beside the records.
enum { PARTITIONS = 6, RECORD = 1110, REQUEST = 1190, ANSWER = 60, ASK = 250, HEAD = 150 };
enum { BUFFER = 1 << 20, CHUNK = 400 * RECORD };

static void must(int fine, const char *what) {
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void send_all(int to, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(to, at, size, MSG_NOSIGNAL);
        must(sent > 0, "send");
        at += sent;
        size -= (size_t)sent;
    }
}

// A connection and the bytes that came and are not a whole frame yet.
struct line {
    int fd;
    size_t filled;
    char *buffer;
};

// One read; 0 when the other end is gone.
static int fill(struct line *line) {
    ssize_t got = recv(line->fd, line->buffer + line->filled, BUFFER - line->filled, 0);
    must(got >= 0, "recv");
    line->filled += (size_t)got;
    return got > 0;
}

// Takes so many whole frames off the front.
static void drop(struct line *line, size_t bytes) {
    memmove(line->buffer, line->buffer + bytes, line->filled - bytes);
    line->filled -= bytes;
}

static void watch(int epoll, int fd, uint32_t place) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = place};
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void no_delay(int fd) {
    int on = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
}

// What the server has written and not handed out.
static char waiting[64 * BUFFER];
static size_t waiting_bytes;
static int reader_asked;

static void hand_out(int reader) {
    if (reader_asked && waiting_bytes > 0) {
        // One head in front, as in an answer to a Fetch.
        static char answer[4 + HEAD + CHUNK];
        size_t size = waiting_bytes < CHUNK ? waiting_bytes : CHUNK;
        uint32_t length = htonl((uint32_t)(HEAD + size));
        memcpy(answer, &length, 4);
        memcpy(answer + 4 + HEAD, waiting, size);
        send_all(reader, answer, 4 + HEAD + size);
        waiting_bytes -= size;
        memmove(waiting, waiting + size, waiting_bytes);
        reader_asked = 0;
    }
}

static void serve(int listener, const char *directory, int sync) {
    struct line lines[PARTITIONS + 1];
    int files[PARTITIONS];
    off_t ends[PARTITIONS] = {0};
    int epoll = epoll_create1(0);
    for (uint32_t place = 0; place <= PARTITIONS; place++) {
        lines[place] = (struct line){accept(listener, NULL, NULL), 0, malloc(BUFFER)};
        must(lines[place].fd >= 0, "accept");
        no_delay(lines[place].fd);
        watch(epoll, lines[place].fd, place);
        if (place < PARTITIONS) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%u.log", directory, place);
            files[place] = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
            must(files[place] >= 0, path);
        }
    }
    char answer[ANSWER] = {0};
    uint32_t length = htonl(ANSWER - 4);
    memcpy(answer, &length, 4);
    for (;;) {
        struct epoll_event events[PARTITIONS + 1];
        int count = epoll_wait(epoll, events, PARTITIONS + 1, -1);
        must(count > 0, "epoll_wait");
        int answers[PARTITIONS] = {0};
        for (int event = 0; event < count; event++) {
            uint32_t place = events[event].data.u32;
            struct line *line = &lines[place];
            if (!fill(line))
                return;
            size_t frame = place < PARTITIONS ? REQUEST : ASK, taken = 0;
            for (; line->filled - taken >= frame; taken += frame) {
                if (place == PARTITIONS) {
                    reader_asked = 1;
                    continue;
                }
                const char *record = line->buffer + taken + REQUEST - RECORD;
                must(pwrite(files[place], record, RECORD, ends[place]) == RECORD, "pwrite");
                ends[place] += RECORD;
                must(waiting_bytes + RECORD <= sizeof waiting, "the reader is too slow");
                memcpy(waiting + waiting_bytes, record, RECORD);
                waiting_bytes += RECORD;
                answers[place]++;
                if (!sync) {
                    send_all(line->fd, answer, ANSWER);
                    answers[place]--;
                }
            }
            drop(line, taken);
        }
        for (int place = 0; sync && place < PARTITIONS; place++) {
            if (answers[place] > 0) {
                must(fdatasync(files[place]) == 0, "fdatasync");
                for (int number = 0; number < answers[place]; number++)
                    send_all(lines[place].fd, answer, ANSWER);
            }
        }
        hand_out(lines[PARTITIONS].fd);
    }
}

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double quantile_ms(int64_t *sorted, long count, double part) {
    long place = (long)(part * (double)count);
    return (double)sorted[place < count ? place : count - 1] / 1e6;
}

// Sends on time, and notes when answers and records come.
static void load(int *fds, long rate, long count, int64_t *acks, int64_t *seen) {
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct line lines[PARTITIONS + 1];
    long answered[PARTITIONS] = {0}, sent = 0, all_answered = 0, all_seen = 0;
    for (uint32_t place = 0; place <= PARTITIONS; place++) {
        lines[place] = (struct line){fds[place], 0, malloc(BUFFER)};
        watch(epoll, fds[place], place);
    }
    watch(epoll, timer, PARTITIONS + 1);
    static char request[REQUEST], ask[ASK];
    send_all(fds[PARTITIONS], ask, ASK);
    int64_t began = now_ns() + 100000000;
    while (all_answered < count || all_seen < count) {
        int64_t due = began + sent * 1000000000LL / rate, wait = due - now_ns();
        if (sent < count && wait <= 0) {
            memcpy(request + REQUEST - RECORD, &due, sizeof due);
            send_all(fds[sent % PARTITIONS], request, REQUEST);
            sent++;
            continue;
        }
        if (sent < count) {
            struct itimerspec once = {.it_value = {wait / 1000000000, wait % 1000000000}};
            must(timerfd_settime(timer, 0, &once, NULL) == 0, "timerfd_settime");
        }
        struct epoll_event events[PARTITIONS + 2];
        int ready = epoll_wait(epoll, events, PARTITIONS + 2, -1);
        int64_t now = now_ns();
        for (int event = 0; event < ready; event++) {
            uint32_t place = events[event].data.u32;
            if (place > PARTITIONS) {
                uint64_t expirations;
                must(read(timer, &expirations, sizeof expirations) > 0 || errno == EAGAIN, "timer");
                continue;
            }
            struct line *line = &lines[place];
            must(fill(line), "the server went away");
            size_t taken = 0;
            if (place < PARTITIONS) {
                for (; line->filled - taken >= ANSWER; taken += ANSWER) {
                    long number = answered[place]++ * PARTITIONS + place;
                    acks[all_answered++] = now - (began + number * 1000000000LL / rate);
                }
            } else if (line->filled >= 4) {
                uint32_t length;
                memcpy(&length, line->buffer, 4);
                length = ntohl(length);
                if (line->filled >= 4 + length) {
                    taken = 4 + length;
                    for (size_t at = 4 + HEAD; at < taken; at += RECORD) {
                        int64_t record_due;
                        memcpy(&record_due, line->buffer + at, sizeof record_due);
                        seen[all_seen++] = now - record_due;
                    }
                    send_all(fds[PARTITIONS], ask, ASK);
                }
            }
            drop(line, taken);
        }
    }
}

int main(int words, char **word) {
    if (words != 4 && words != 5) {
        fprintf(stderr, "usage: floor RATE SECONDS DIRECTORY [sync]\n");
        return 2;
    }
    long rate = atol(word[1]), count = rate * atol(word[2]);
    must(count > 0, "RATE and SECONDS");
    int sync = words == 5 && strcmp(word[4], "sync") == 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    must(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    must(listen(listener, PARTITIONS + 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    pid_t server = fork();
    must(server >= 0, "fork");
    if (server == 0) {
        serve(listener, word[3], sync);
        return 0;
    }
    int fds[PARTITIONS + 1];
    for (int place = 0; place <= PARTITIONS; place++) {
        fds[place] = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(fds[place], (struct sockaddr *)&address, size) == 0, "connect");
        no_delay(fds[place]);
    }
    int64_t *acks = calloc((size_t)count, sizeof *acks), *seen = calloc((size_t)count, sizeof *seen);
    must(acks && seen, "memory");
    load(fds, rate, count, acks, seen);
    for (int place = 0; place <= PARTITIONS; place++)
        close(fds[place]);
    struct rusage used;
    int status;
    must(wait4(server, &status, 0, &used) == server && status == 0, "the server failed");
    double cpu_us = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    qsort(acks, (size_t)count, sizeof *acks, by_value);
    qsort(seen, (size_t)count, sizeof *seen, by_value);
    printf("{\"ack_p50\":%.3f,\"ack_p99\":%.3f,\"end_to_end_p50\":%.3f,\"end_to_end_p99\":%.3f,\"cpu_us\":%.2f}\n",
           quantile_ms(acks, count, 0.5), quantile_ms(acks, count, 0.99), quantile_ms(seen, count, 0.5),
           quantile_ms(seen, count, 0.99), cpu_us / (double)count);
    return 0;
}
