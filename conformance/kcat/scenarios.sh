#!/usr/bin/env bash
# The scenarios of kcat: scenarios.sh HOST:PORT [SCENARIO]. Prints its transcript to stdout.
set -uo pipefail
bootstrap=$1
only=${2:-}

kcat_quiet() { kcat -b "$bootstrap" -X log_level=0 "$@" 2>/dev/null; }

scenario_lines() {
    seq -f 'line-%g' 1 200 | kcat_quiet -P -t lines -p 0
    echo "produce -> $?"
    echo "first -> $(kcat_quiet -C -t lines -p 0 -o beginning -c 1)"
    echo "last -> $(kcat_quiet -C -t lines -p 0 -o -1 -c 1)"
    echo "count -> $(kcat_quiet -C -t lines -p 0 -o beginning -e | wc -l)"
    echo "sum -> $(kcat_quiet -C -t lines -p 0 -o beginning -e | sha256sum | cut -c1-16)"
    echo "from 150 -> $(kcat_quiet -C -t lines -p 0 -o 150 -c 1 -f '%o %s')"
}

scenario_keys() {
    printf 'a=1\nb=2\nc=\n=4\n' | kcat_quiet -P -t keys -p 0 -K = -Z -H trace=7 -H empty=
    kcat_quiet -C -t keys -p 0 -o beginning -e -f 'record -> %o key=%k size=%S value=%s headers=%h\n'
}

scenario_codecs() {
    for codec in none gzip snappy lz4 zstd; do
        seq -f "$codec %g" 1 500 | kcat_quiet -P -t "codecs.$codec" -p 0 -z "$codec"
        echo "$codec -> $(kcat_quiet -C -t "codecs.$codec" -p 0 -o beginning -e | sha256sum | cut -c1-16)"
    done
}

scenario_query() {
    seq 1 10 | kcat_quiet -P -t query -p 0
    echo "query end -> $(kcat_quiet -Q -t query:0:-1)"
    echo "query start -> $(kcat_quiet -Q -t query:0:-2)"
    echo "query epoch -> $(kcat_quiet -Q -t query:0:1)"
}

scenario_metadata() {
    seq 1 3 | kcat_quiet -P -t listed -p 0
    kcat_quiet -L -t listed | sed -E "s/(127\.0\.0\.1|localhost|\[::1\]):[0-9]+/HOST/g; s/(broker|leader|replicas:|isrs:) -?[0-9]+/\1 N/g; s#HOST/(bootstrap|[0-9]+)\)#HOST/N)#; s/^/list -> /"
    kcat_quiet -L -t 'not/valid' | sed -nE 's/^ *topic/invalid -> topic/p'
}

for scenario in lines keys codecs query metadata; do
    if [ -z "$only" ] || [ "$only" = "$scenario" ]; then
        echo "# $scenario"
        "scenario_$scenario"
    fi
done
