import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What the Java Admin client shows of configs that change, and of a node that is asked about itself. */
final class AlterScenarios {
    private static final String THROTTLED = "leader.replication.throttled.replicas";

    private AlterScenarios() {}

    private static AlterConfigOp op(String name, String value, AlterConfigOp.OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private static String alter(Scenarios here, ConfigResource of, AlterConfigOp... ops) {
        return Scenarios.outcome(() -> here.admin.incrementalAlterConfigs(Map.of(of, List.of(ops))).all().get());
    }

    /** Waits until the broker shows the value: on Kafka that is a moment after the answer. */
    private static void await(Scenarios here, ConfigResource of, String name, String value) throws Exception {
        Scenarios.until(name + "=" + value, () -> value.equals(entry(here, of, name).value()));
    }

    private static ConfigEntry entry(Scenarios here, ConfigResource of, String name) throws Exception {
        Config config = here.admin.describeConfigs(List.of(of)).all().get().get(of);
        return config.get(name);
    }

    private static void show(Scenarios here, ConfigResource of, String name) throws Exception {
        ConfigEntry entry = entry(here, of, name);
        Scenarios.say("%s -> %s %s readOnly=%s", name, entry.value(), entry.source(), entry.isReadOnly());
    }

    static void producers(Scenarios here) throws Exception {
        here.create("producers.a", 1, Map.of());
        TopicPartition partition = new TopicPartition("producers.a", 0);
        try (var producer = here.producer(Map.of())) {
            for (int i = 0; i < 3; i++) {
                producer.send(new ProducerRecord<>("producers.a", 0, "k", "v" + i)).get();
            }
        }
        for (var state : here.admin.describeProducers(List.of(partition)).all().get().get(partition).activeProducers()) {
            Scenarios.say("producer -> epoch=%d sequence=%d time=%s coordinator=%s transaction=%s", state.producerEpoch(),
                    state.lastSequence(), state.lastTimestamp() > 0, state.coordinatorEpoch(), state.currentTransactionStartOffset());
        }
    }

    static void alter(Scenarios here) throws Exception {
        here.create("alter.a", 1, Map.of("segment.ms", "5000"));
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "alter.a");
        ConfigResource absent = new ConfigResource(ConfigResource.Type.TOPIC, "alter.absent");
        Scenarios.say("set -> %s", alter(here, topic, op("max.message.bytes", "2222", AlterConfigOp.OpType.SET)));
        await(here, topic, "max.message.bytes", "2222");
        show(here, topic, "max.message.bytes");
        Scenarios.say("delete -> %s", alter(here, topic, op("segment.ms", "", AlterConfigOp.OpType.DELETE)));
        await(here, topic, "segment.ms", "604800000");
        show(here, topic, "segment.ms");
        Scenarios.say("append -> %s", alter(here, topic, op(THROTTLED, "0:1,1:1", AlterConfigOp.OpType.APPEND)));
        await(here, topic, THROTTLED, "0:1,1:1");
        Scenarios.say("subtract -> %s", alter(here, topic, op(THROTTLED, "0:1", AlterConfigOp.OpType.SUBTRACT)));
        await(here, topic, THROTTLED, "1:1");
        show(here, topic, THROTTLED);
        Scenarios.say("append to a number -> %s", alter(here, topic, op("segment.ms", "1", AlterConfigOp.OpType.APPEND)));
        Scenarios.say("not a number -> %s", alter(here, topic, op("segment.ms", "soon", AlterConfigOp.OpType.SET)));
        Scenarios.say("unknown key -> %s", alter(here, topic, op("no.such.key", "1", AlterConfigOp.OpType.SET)));
        Scenarios.say("unknown topic -> %s", alter(here, absent, op("segment.ms", "1", AlterConfigOp.OpType.SET)));
        AlterConfigsOptions dry = new AlterConfigsOptions().validateOnly(true);
        Scenarios.say("validate -> %s", Scenarios.outcome(() -> here.admin.incrementalAlterConfigs(
            Map.of(topic, List.of(op("max.message.bytes", "3", AlterConfigOp.OpType.SET))), dry).all().get()));
        show(here, topic, "max.message.bytes");
        broker(here);
    }

    private static void broker(Scenarios here) throws Exception {
        String id = String.valueOf(here.admin.describeCluster().controller().get().id());
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, id);
        ConfigResource every = new ConfigResource(ConfigResource.Type.BROKER, "");
        Scenarios.say("every broker -> %s", alter(here, every, op("log.index.interval.bytes", "8192", AlterConfigOp.OpType.SET)));
        await(here, broker, "log.index.interval.bytes", "8192");
        show(here, broker, "log.index.interval.bytes");
        Scenarios.say("this broker -> %s", alter(here, broker, op("log.index.interval.bytes", "9000", AlterConfigOp.OpType.SET)));
        await(here, broker, "log.index.interval.bytes", "9000");
        show(here, broker, "log.index.interval.bytes");
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "alter.a");
        show(here, topic, "index.interval.bytes");
        Scenarios.say("read only -> %s", alter(here, broker, op("num.partitions", "2", AlterConfigOp.OpType.SET)));
        Scenarios.say("bad -> %s", alter(here, broker, op("log.index.interval.bytes", "x", AlterConfigOp.OpType.SET)));
        alter(here, broker, op("log.index.interval.bytes", "", AlterConfigOp.OpType.DELETE));
        alter(here, every, op("log.index.interval.bytes", "", AlterConfigOp.OpType.DELETE));
        await(here, broker, "log.index.interval.bytes", "4096");
        show(here, broker, "log.index.interval.bytes");
        for (String name : List.of("num.partitions", "message.max.bytes", "log.segment.bytes", "node.id")) {
            Scenarios.say("%s is read only -> %s", name, entry(here, broker, name).isReadOnly());
        }
    }

    static void node(Scenarios here) throws Exception {
        here.create("node.a", 2);
        TopicPartition first = new TopicPartition("node.a", 0);
        TopicPartition absent = new TopicPartition("node.absent", 0);
        int id = here.admin.describeCluster().controller().get().id();
        Scenarios.until("the replica", () -> directory(here, id).replicaInfos().containsKey(first));
        LogDirDescription dir = directory(here, id);
        Scenarios.say("log directory -> error=%s total=%s usable=%s", dir.error(),
            dir.totalBytes().getAsLong() > 0, dir.usableBytes().getAsLong() > 0);
        Scenarios.say("replica -> %s", dir.replicaInfos().get(first));
        for (ElectionType type : ElectionType.values()) {
            Map<TopicPartition, Optional<Throwable>> elected = here.admin.electLeaders(type, Set.of(first, absent)).partitions().get();
            Map<String, String> names = new TreeMap<>();
            elected.forEach((partition, error) -> names.put(partition.toString(), error.map(e -> e.getClass().getSimpleName()).orElse("ok")));
            Scenarios.say("elect %s -> %s", type, names);
        }
        Scenarios.say("elect all -> %s", Scenarios.outcome(() -> here.admin.electLeaders(ElectionType.PREFERRED, null).all().get()));
        Scenarios.say("reassign in place -> %s", reassign(here, first, Optional.of(new NewPartitionReassignment(List.of(id)))));
        Scenarios.say("reassign away -> %s", reassign(here, first, Optional.of(new NewPartitionReassignment(List.of(4711)))));
        Scenarios.say("cancel -> %s", reassign(here, first, Optional.empty()));
        Scenarios.say("reassign unknown -> %s", reassign(here, absent, Optional.of(new NewPartitionReassignment(List.of(id)))));
        Scenarios.say("reassignments -> %s", here.admin.listPartitionReassignments().reassignments().get());
        QuorumInfo quorum = here.admin.describeMetadataQuorum().quorumInfo().get();
        Scenarios.say("quorum -> leader=%s voters=%d observers=%d nodes=%d", quorum.leaderId() == id, quorum.voters().size(),
            quorum.observers().size(), quorum.nodes().size());
        Collection<ConfigResource> topics = here.admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC),
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get();
        Scenarios.say("config resources -> %s", topics.stream().map(ConfigResource::name).filter(n -> n.startsWith("node.")).sorted().toList());
    }

    private static LogDirDescription directory(Scenarios here, int node) throws Exception {
        Map<String, LogDirDescription> all = here.admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node);
        return all.values().iterator().next();
    }

    private static String reassign(Scenarios here, TopicPartition partition, Optional<NewPartitionReassignment> to) {
        return Scenarios.outcome(() -> here.admin.alterPartitionReassignments(Map.of(partition, to)).all().get());
    }
}
