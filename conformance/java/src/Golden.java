import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Writes golden bytes: what Kafka's own message classes encode, for every API ottla serves, request and
 * response, every stable version.
 *
 * <p>Three bodies a version, without header: the default instance; a populated one, whose arrays have two
 * elements, the first with every nullable field set and the second with every nullable field null; and one
 * in which every nullable field is null from the top. A field a version does not know stays at its default.
 * Values count up, so that two fields swapped by a decoder do not go unnoticed. Same input, same bytes.
 *
 * <p>Usage: Golden OUTPUT_DIRECTORY. One file per API, one line per body:
 * {@code ApiName key version request|response HEX}.
 */
public final class Golden {
    private static final ApiKeys[] APIS = {
        ApiKeys.PRODUCE, ApiKeys.FETCH, ApiKeys.LIST_OFFSETS, ApiKeys.METADATA, ApiKeys.API_VERSIONS,
        ApiKeys.CREATE_TOPICS, ApiKeys.DELETE_TOPICS, ApiKeys.INIT_PRODUCER_ID,
        ApiKeys.OFFSET_FOR_LEADER_EPOCH, ApiKeys.DESCRIBE_CONFIGS, ApiKeys.CREATE_PARTITIONS,
        ApiKeys.DESCRIBE_CLUSTER, ApiKeys.DESCRIBE_TOPIC_PARTITIONS, ApiKeys.DELETE_RECORDS,
        ApiKeys.ALTER_CONFIGS, ApiKeys.DESCRIBE_LOG_DIRS, ApiKeys.ELECT_LEADERS,
        ApiKeys.INCREMENTAL_ALTER_CONFIGS, ApiKeys.ALTER_PARTITION_REASSIGNMENTS,
        ApiKeys.LIST_PARTITION_REASSIGNMENTS, ApiKeys.DESCRIBE_QUORUM, ApiKeys.UPDATE_FEATURES,
        ApiKeys.DESCRIBE_ACLS, ApiKeys.CREATE_ACLS, ApiKeys.DELETE_ACLS,
        ApiKeys.DESCRIBE_PRODUCERS, ApiKeys.LIST_CONFIG_RESOURCES,
        ApiKeys.OFFSET_COMMIT, ApiKeys.OFFSET_FETCH,
        ApiKeys.FIND_COORDINATOR, ApiKeys.JOIN_GROUP, ApiKeys.HEARTBEAT, ApiKeys.LEAVE_GROUP, ApiKeys.SYNC_GROUP,
        ApiKeys.DESCRIBE_GROUPS, ApiKeys.LIST_GROUPS, ApiKeys.DELETE_GROUPS, ApiKeys.OFFSET_DELETE,
        ApiKeys.CONSUMER_GROUP_HEARTBEAT, ApiKeys.CONSUMER_GROUP_DESCRIBE,
    };
    private static final String MESSAGES = "org.apache.kafka.common.message.";
    private static final ObjectMapper MAPPER =
        new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);

    /** Which nullable fields a populated instance leaves null. */
    private enum Nulls { SECOND_ELEMENTS, ALL }

    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        for (ApiKeys api : APIS) {
            StringBuilder lines = new StringBuilder();
            for (short version = api.oldestVersion(); version <= api.latestVersion(false); version++) {
                for (String side : List.of("Request", "Response")) {
                    for (ApiMessage message : instances(api.name + side, version)) {
                        lines.append(line(api, version, side.toLowerCase(), message));
                    }
                }
            }
            Files.writeString(directory.resolve(api.name + ".hex"), lines);
        }
    }

    private static List<ApiMessage> instances(String name, short version) throws Exception {
        JsonNode schema = schema(name);
        ApiMessage untouched = (ApiMessage) create(MESSAGES + name + "Data");
        List<ApiMessage> all = new ArrayList<>(List.of(untouched));
        for (Nulls nulls : Nulls.values()) {
            ApiMessage message = (ApiMessage) create(MESSAGES + name + "Data");
            new Filler(schema, version, nulls).fill(message, schema.get("fields"), nulls == Nulls.ALL);
            all.add(message);
        }
        return all;
    }

    private static String line(ApiKeys api, short version, String side, ApiMessage message) {
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] body = new byte[bytes.remaining()];
        bytes.get(body);
        return api.name + " " + api.id + " " + version + " " + side + " "
            + HexFormat.of().formatHex(body) + "\n";
    }

    private static JsonNode schema(String name) throws Exception {
        String resource = "/common/message/" + name + ".json";
        try (InputStream stream = ApiKeys.class.getResourceAsStream(resource)) {
            return MAPPER.readTree(stream);
        }
    }

    private static Object create(String className) throws Exception {
        return Class.forName(className).getDeclaredConstructor().newInstance();
    }

    /** Whether {@code version} lies in a schema range such as {@code 3+}, {@code 0-12}, {@code 4} or {@code none}. */
    private static boolean covers(JsonNode range, short version) {
        if (range == null || range.asText().equals("none")) {
            return false;
        }
        String text = range.asText();
        if (text.endsWith("+")) {
            return version >= Integer.parseInt(text.substring(0, text.length() - 1));
        }
        String[] ends = text.split("-");
        return version >= Integer.parseInt(ends[0]) && version <= Integer.parseInt(ends[ends.length - 1]);
    }

    /** Gives each field of one instance a value, guided by the schema. */
    private static final class Filler {
        private final Map<String, JsonNode> commonStructs = new HashMap<>();
        private final String outerClass;
        private final short version;
        private final Nulls nulls;
        private int count;

        Filler(JsonNode schema, short version, Nulls nulls) {
            this.outerClass = MESSAGES + schema.get("name").asText() + "Data";
            this.version = version;
            this.nulls = nulls;
            if (schema.has("commonStructs")) {
                schema.get("commonStructs").forEach(s -> commonStructs.put(s.get("name").asText(), s.get("fields")));
            }
        }

        void fill(Object target, JsonNode fields, boolean nullable) throws Exception {
            for (JsonNode field : fields) {
                if (!covers(field.get("versions"), version)) {
                    continue;
                }
                Method setter = setter(target, field.get("name").asText());
                boolean leaveNull = nullable && covers(field.get("nullableVersions"), version);
                Object value = leaveNull ? null : value(field, field.get("type").asText(), setter.getParameterTypes()[0]);
                setter.invoke(target, value);
            }
        }

        private static Method setter(Object target, String name) {
            String wanted = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
            for (Method method : target.getClass().getMethods()) {
                if (method.getName().equals(wanted)) {
                    return method;
                }
            }
            throw new IllegalStateException(target.getClass() + " has no " + wanted);
        }

        private Object value(JsonNode field, String type, Class<?> javaType) throws Exception {
            if (type.startsWith("[]")) {
                return array(field, type.substring(2), javaType);
            }
            int n = ++count;
            int signed = n % 3 == 0 ? -n : n;
            return switch (type) {
                case "bool" -> n % 2 == 1;
                case "int8" -> (byte) signed;
                case "int16" -> (short) (signed * 257);
                case "uint16" -> n * 601 % 65536;
                case "int32" -> signed * 16_909_061;
                case "uint32" -> n * 33_818_123L % (1L << 32);
                case "int64" -> signed * 72_623_859_790_382_857L / 8;
                case "float64" -> n * 1.25;
                case "uuid" -> new Uuid(0x0102030405060708L * n, 0x1112131415161718L + n);
                case "string" -> (n % 4 == 0 ? "größe-" : "text-") + n;
                case "bytes" -> bytes(javaType, ("bytes-" + n).getBytes(StandardCharsets.UTF_8));
                case "records" -> records(n);
                default -> struct(field, type, nulls == Nulls.ALL);
            };
        }

        private Object array(JsonNode field, String element, Class<?> javaType) throws Exception {
            @SuppressWarnings("unchecked")
            Collection<Object> values = javaType == List.class
                ? new ArrayList<>()
                : (Collection<Object>) javaType.getDeclaredConstructor().newInstance();
            for (int i = 0; i < 2; i++) {
                boolean isStruct = field.has("fields") || commonStructs.containsKey(element);
                boolean nullable = nulls == Nulls.ALL || i == 1;
                values.add(isStruct ? struct(field, element, nullable) : value(field, element, Object.class));
            }
            return values;
        }

        private Object struct(JsonNode field, String type, boolean nullable) throws Exception {
            Object value = create(outerClass + "$" + type);
            fill(value, field.has("fields") ? field.get("fields") : commonStructs.get(type), nullable);
            return value;
        }

        private static Object bytes(Class<?> javaType, byte[] value) {
            return javaType == ByteBuffer.class ? ByteBuffer.wrap(value) : value;
        }

        private static MemoryRecords records(int n) {
            Header[] headers = {new RecordHeader("header", new byte[] {1, 2, 3})};
            byte[] payload = ("value-" + n).getBytes(StandardCharsets.UTF_8);
            return MemoryRecords.withRecords(Compression.NONE,
                new SimpleRecord(1_700_000_000_000L, ("key-" + n).getBytes(StandardCharsets.UTF_8), payload, headers),
                new SimpleRecord(1_700_000_000_001L, null, payload));
        }
    }
}
