#!/usr/bin/env bash
# The scenarios of Kafka's own command line tools: scenarios.sh HOST:PORT [SCENARIO].
#
# Needs KAFKA_TOOLS_JARS (a folder of jars); DATA_DIR, the broker's data directory, for the scenario `dump`.
# Prints its transcript to stdout, the same on every run against a fresh broker.
set -uo pipefail
bootstrap=$1
only=${2:-}

tool() {
    local class=$1
    shift
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$KAFKA_TOOLS_JARS/*" "$class" "$@" 2>&1 |
        grep -vE 'SLF4J|StatusLogger|^WARN(ING)?[: ]|^$|^\s+at '
}
topics() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" "$@"; }
offsets() { tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$bootstrap" "$@"; }
# Ids and node numbers are the broker's own; so is which defaults are shown as set.
normal() { sed -E 's/TopicId: [A-Za-z0-9_-]{22}/TopicId: ID/; s/(Leader|Replicas|Isr|Elr|LastKnownElr): [0-9]+/\1: N/g; s/(segment\.bytes=134217728|min\.insync\.replicas=1),?//g; s/,$//'; }
lines() { while IFS= read -r line; do echo "$1 -> $line"; done; }

scenario_topics() {
    topics --create --topic tools.a --partitions 3 --replication-factor 1 --config segment.ms=99000 | lines create
    topics --create --topic tools.a --partitions 1 | grep -oE 'exists' | head -1 | lines 'create again'
    topics --create --if-not-exists --topic tools.a --partitions 1 | lines 'create if absent'
    topics --list | grep '^tools' | lines list
    topics --describe --topic tools.a | normal | tr -s '\t' ' ' | lines describe
    topics --alter --topic tools.a --partitions 5 | lines alter
    topics --describe --topic tools.a | grep -c 'Partition: ' | lines 'partitions now'
    topics --delete --topic tools.a | lines delete
    topics --describe --topic tools.absent | grep -oE "Topic '.*' does not exist" | head -1 | lines 'describe unknown'
}

scenario_console() {
    topics --create --topic tools.console --partitions 1 >/dev/null
    seq 1 20 | sed 's/.*/k&:line-&/' | tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$bootstrap" \
        --topic tools.console --property parse.key=true --property key.separator=: | lines produce
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic tools.console \
        --partition 0 --offset earliest --max-messages 20 --timeout-ms 15000 \
        --consumer-property enable.auto.commit=false --property print.key=true --property print.offset=true |
        grep -v 'deprecated' | tr '\t' ' ' | lines consume
}

scenario_offsets() {
    topics --create --topic tools.offsets --partitions 2 >/dev/null
    seq 1 30 | kcat -b "$bootstrap" -P -t tools.offsets -p 0 -X log_level=0
    offsets --topic tools.offsets | lines latest
    offsets --topic tools.offsets --time earliest | lines earliest
    offsets --topic tools.offsets --time 1 | lines 'at the epoch'
    offsets --topic-partitions tools.offsets:0 --time max-timestamp | cut -d: -f1,2 | lines 'max timestamp'
    offsets --topic tools.absent | grep -oE 'Could not match any topic-partitions' | head -1 | lines 'unknown topic'
}

configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$bootstrap" "$@"; }
# What a tool says when it fails begins differently; the error's own name is the same.
failure() { grep -oE '[A-Za-z]+Exception' | tail -1; }

scenario_configs() {
    topics --create --topic tools.configs --partitions 1 --config segment.ms=99000 >/dev/null
    configs --entity-type topics --entity-name tools.configs --alter --add-config max.message.bytes=2222,index.interval.bytes=8192 | lines add
    configs --entity-type topics --entity-name tools.configs --describe | lines describe
    configs --entity-type topics --entity-name tools.configs --alter --delete-config segment.ms | lines delete
    configs --entity-type topics --entity-name tools.configs --describe | lines 'describe again'
    configs --entity-type topics --entity-name tools.configs --describe --all | grep -E '^  (max.message.bytes|segment.ms|cleanup.policy)=' | sort | lines 'describe all'
    configs --entity-type topics --entity-name tools.configs --alter --delete-config retention.bytes | grep -oE 'Invalid config|Completed' | lines 'delete what is not set'
    configs --entity-type topics --entity-name tools.configs --alter --add-config no.such.key=1 | failure | lines 'unknown key'
    configs --entity-type topics --entity-name tools.configs --alter --add-config segment.ms=soon | failure | lines 'not a number'
    configs --entity-type topics --entity-name tools.absent --alter --add-config segment.ms=1000 | failure | lines 'unknown topic'
    configs --entity-type brokers --entity-default --alter --add-config message.max.bytes=3333 | lines 'every broker'
    configs --entity-type brokers --entity-default --describe | grep message.max.bytes | lines 'describe every broker'
    configs --entity-type brokers --entity-name 1 --alter --add-config message.max.bytes=4444 | lines 'this broker'
    configs --entity-type brokers --entity-name 1 --describe | grep message.max.bytes | lines 'describe this broker'
    configs --entity-type topics --entity-name tools.configs --alter --delete-config max.message.bytes | lines 'topic without its own'
    configs --entity-type topics --entity-name tools.configs --describe --all | grep -E '^  max.message.bytes=' | lines inherited
    configs --entity-type brokers --entity-name 1 --alter --add-config num.partitions=2 | failure | lines 'read only'
    configs --entity-type brokers --entity-name 1 --alter --delete-config message.max.bytes | lines 'this broker back'
    configs --entity-type brokers --entity-default --alter --delete-config message.max.bytes | lines 'every broker back'
}

scenario_node() {
    topics --create --topic tools.node --partitions 2 >/dev/null
    tool org.apache.kafka.tools.LogDirsCommand --bootstrap-server "$bootstrap" --describe --topic-list tools.node | tail -1 |
        sed -E 's/"logDir":"[^"]*"/"logDir":"DIR"/; s/"(broker|totalBytes|usableBytes)":[0-9]+/"\1":N/g' | lines 'log dirs'
    tool org.apache.kafka.tools.LeaderElectionCommand --bootstrap-server "$bootstrap" --election-type preferred --topic tools.node --partition 0 | lines elect
    tool org.apache.kafka.tools.LeaderElectionCommand --bootstrap-server "$bootstrap" --election-type preferred --all-topic-partitions | grep -vE '^$' | lines 'elect all'
    tool org.apache.kafka.tools.reassign.ReassignPartitionsCommand --bootstrap-server "$bootstrap" --list | lines reassignments
    tool org.apache.kafka.tools.MetadataQuorumCommand --bootstrap-server "$bootstrap" describe --status |
        grep -oE '^(ClusterId|LeaderId|LeaderEpoch|HighWatermark|MaxFollowerLag|MaxFollowerLagTimeMs|CurrentVoters|CurrentObservers):' | lines quorum
    tool org.apache.kafka.tools.MetadataQuorumCommand --bootstrap-server "$bootstrap" describe --replication | awk '{print $1, $NF}' | sed -E 's/^[0-9]+/N/' | lines replication
    tool org.apache.kafka.tools.FeatureCommand --bootstrap-server "$bootstrap" describe | grep -cE 'Exception|Error' | lines 'features, failures'
    tool org.apache.kafka.tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap" | grep -E '\((32|33|35|37|43|44|45|46|55|57|60)\)' | sed -E 's/^\t//; s/,$//' | lines versions
}

groups() { tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" "$@"; }
# Member ids and hosts are each broker's own; columns are as wide as the longest of them.
columns() { tr -s ' ' | sed -E 's/ +$//; s/console-consumer-[0-9a-f-]+/MEMBER/g; s/localhost:[0-9]+ \([0-9]+\)/NODE/; s/[0-9.]+:[0-9]+ \([0-9]+\)/NODE/'; }

scenario_groups() {
    topics --create --topic tools.groups --partitions 2 >/dev/null
    seq 1 30 | kcat -b "$bootstrap" -P -t tools.groups -p 0 -X log_level=0
    seq 1 10 | kcat -b "$bootstrap" -P -t tools.groups -p 1 -X log_level=0
    consume() {
        tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic tools.groups \
            --group tools.group --from-beginning --timeout-ms 8000 "$@" | grep -v deprecated
    }
    consume --max-messages 40 | sort -n | uniq -c | sha256sum | lines 'first life'
    consume | tail -1 | lines 'second life'
    groups --list | grep '^tools' | lines list
    groups --list --state | columns | grep -E '^(GROUP|tools)' | lines 'list with states'
    groups --describe --group tools.group | columns | grep -v 'no active members' | lines describe
    groups --describe --group tools.group --state | columns | grep -v 'no active members' | lines 'describe state'
    groups --describe --group tools.group --members | columns | lines 'describe members'
    groups --reset-offsets --group tools.group --topic tools.groups:0 --to-offset 5 --dry-run | columns | lines 'reset, a plan'
    groups --reset-offsets --group tools.group --topic tools.groups --to-earliest --execute | columns | lines 'reset to earliest'
    groups --reset-offsets --group tools.group --topic tools.groups:0 --shift-by 7 --execute | columns | lines 'reset by 7'
    groups --reset-offsets --group tools.new --topic tools.groups --to-latest --execute | columns | lines 'reset a new group'
    consume --max-messages 33 | wc -l | lines 'after the reset'
    groups --delete-offsets --group tools.group --topic tools.groups:1 | columns | lines 'delete offsets'
    groups --delete --group tools.group | lines delete
    groups --delete --group tools.group | grep -oE 'GroupIdNotFoundException' | head -1 | lines 'delete again'
    groups --list | grep -c '^tools' | lines 'groups left'
}

# What Kafka's own system tests and benchmarks are made of.
scenario_verify() {
    topics --create --topic tools.verify --partitions 2 >/dev/null
    tool org.apache.kafka.tools.VerifiableProducer --bootstrap-server "$bootstrap" --topic tools.verify --max-messages 50 --acks -1 |
        grep -oE '"name":"tool_data","sent":[0-9]+,"acked":[0-9]+' | lines 'verifiable producer'
    local protocol
    for protocol in classic consumer; do
        tool org.apache.kafka.tools.VerifiableConsumer --bootstrap-server "$bootstrap" --topic tools.verify --group-id "tools.$protocol" \
            --group-protocol $protocol --reset-policy earliest --max-messages 50 | verified | lines "verifiable consumer, $protocol"
    done
    tool org.apache.kafka.tools.ProducerPerformance --producer-props bootstrap.servers="$bootstrap" --topic tools.perf --num-records 1000 \
        --record-size 100 --throughput -1 | grep -oE '^[0-9]+ records sent' | tail -1 | lines 'producer performance'
    tool org.apache.kafka.tools.ConsumerPerformance --bootstrap-server "$bootstrap" --topic tools.perf --messages 1000 --timeout 20000 |
        tail -1 | awk -F', ' '{print $5, "records"}' | lines 'consumer performance'
    tool org.apache.kafka.tools.EndToEndLatency "$bootstrap" tools.latency 20 all 100 | grep -oE '^(Avg latency|Percentiles)' | lines latency
    tool org.apache.kafka.tools.ClientMetricsCommand --bootstrap-server "$bootstrap" --list | grep -c . | lines 'client metrics'
    tool org.apache.kafka.tools.StreamsResetter --bootstrap-server "$bootstrap" --application-id tools.classic --input-topics tools.verify --force |
        sort | lines 'application reset'
    tool org.apache.kafka.tools.ClusterTool cluster-id --bootstrap-server "$bootstrap" | sed -E 's/[A-Za-z0-9_-]{22}$/ID/' | lines cluster
}

# What a verifiable consumer says that does not depend on how records came together.
verified() {
    awk 'match($0, /"name":"[a-z_]+"/) { name = substr($0, RSTART + 8, RLENGTH - 9); seen[name] = 1 }
        name == "records_consumed" && match($0, /"count":[0-9]+/) { count += substr($0, RSTART + 8, RLENGTH - 8) }
        /"success":false/ { seen["failure"] = 1 }
        END { for (name in seen) print name | "sort"; close("sort"); print count, "records" }'
}

# The files on disk: both layouts hold the same formats.
scenario_dump() {
    [ -n "${DATA_DIR:-}" ] || return 0
    topics --create --topic tools.dump --partitions 1 >/dev/null
    for codec in none gzip zstd; do
        seq -f "$codec-%g" 1 400 | kcat -b "$bootstrap" -P -t tools.dump -p 0 -z $codec -X log_level=0 \
            -X batch.num.messages=100 -X queue.buffering.max.ms=200 -H codec=$codec
    done
    kcat -b "$bootstrap" -C -t tools.dump -p 0 -o beginning -e -X log_level=0 2>/dev/null | sha256sum | lines 'what is in it'
    local folder
    for folder in "$DATA_DIR/tools.dump-0" "$DATA_DIR/tools.dump/partition0"; do
        [ -d "$folder" ] || continue
        dump "$folder/00000000000000000000"
    done
}

dump() {
    local log
    log=$(tool kafka.tools.DumpLogSegments --deep-iteration --print-data-log --files "$1.log")
    grep -c '^baseOffset: .* magic: 2 .* isvalid: true' <<<"$log" | sed 's/[1-9][0-9]*/some/' | lines 'valid batches'
    grep -c 'isvalid: false' <<<"$log" | lines 'invalid batches'
    grep -oE '^Log starting offset: .*' <<<"$log" | lines 'log'
    grep -E '^\| offset: ' <<<"$log" | sed -E 's/.*offset: ([0-9]+) .*headerKeys: (\[[a-z]*\]).* payload: (.*)/\1 \2 \3/' | sha256sum | lines 'records'
    grep -cE '^\| offset: ' <<<"$log" | lines 'record count'
    grep -oE 'compresscodec: [a-z]+' <<<"$log" | sort -u | lines 'codecs'
    tool kafka.tools.DumpLogSegments --verify-index-only --files "$1.index" | grep -iE 'mismatch|error|exception' | lines 'offset index'
    tool kafka.tools.DumpLogSegments --verify-index-only --files "$1.timeindex" | grep -iE 'mismatch|error|exception' | lines 'time index'
    tool kafka.tools.DumpLogSegments --files "$1.index" | grep -cE '^offset: [1-9][0-9]* position: [1-9]' | sed 's/[1-9][0-9]*/some/' | lines 'offset index entries'
}

# Batches of every codec in topics that store them under one.
scenario_compression() {
    [ -n "${DATA_DIR:-}" ] || return 0
    local type codec folder
    for type in producer uncompressed gzip snappy lz4 zstd; do
        topics --create --topic "tools.as-$type" --partitions 1 --config "compression.type=$type" >/dev/null
        for codec in none gzip snappy lz4 zstd; do
            seq -f "$codec-%g" 1 50 | kcat -b "$bootstrap" -P -t "tools.as-$type" -p 0 -z $codec -X log_level=0 -X queue.buffering.max.ms=200
        done
        kcat -b "$bootstrap" -C -t "tools.as-$type" -p 0 -o beginning -e -X log_level=0 2>/dev/null | sort | sha256sum | lines "records of $type"
        for folder in "$DATA_DIR/tools.as-$type-0" "$DATA_DIR/tools.as-$type/partition0"; do
            [ -d "$folder" ] || continue
            tool kafka.tools.DumpLogSegments --deep-iteration --files "$folder/00000000000000000000.log" |
                grep -E '^baseOffset' | grep -oE 'compresscodec: [a-z]+|isvalid: [a-z]+' | sort | uniq -c | tr -s ' ' | lines "batches of $type"
        done
    done
}

scenario_producers() {
    topics --create --topic tools.producers --partitions 2 >/dev/null
    seq 1 5 | tool org.apache.kafka.tools.ConsoleProducer --bootstrap-server "$bootstrap" --topic tools.producers --sync
    transactions() { tool org.apache.kafka.tools.TransactionsCommand --bootstrap-server "$bootstrap" "$@" | tr -s '\t ' ' ' | sed -E 's/^[0-9]+ /ID /; s/[0-9]{13}/TIME/; s/ +$//'; }
    local partition
    for partition in 0 1; do
        transactions describe-producers --topic tools.producers --partition $partition
    done | sort -u | lines 'describe producers'
}

scenario_groupconfigs() {
    local of="--entity-type groups --entity-name tools.group/own"
    configs $of --alter --add-config consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=9000 | lines add
    configs $of --describe | lines describe
    configs $of --alter --add-config consumer.session.timeout.ms=1 | failure | lines 'too short'
    configs $of --alter --add-config no.such.key=1 | failure | lines 'unknown key'
    configs $of --alter --delete-config consumer.session.timeout.ms | lines delete
    configs $of --describe | lines 'describe again'
    configs $of --alter --delete-config consumer.heartbeat.interval.ms | lines 'delete all'
}

for scenario in topics console offsets groups configs node verify producers compression groupconfigs dump; do
    if [ -z "$only" ] || [ "$only" = "$scenario" ]; then
        echo "# $scenario"
        "scenario_$scenario"
    fi
done
