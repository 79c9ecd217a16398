// Writes the golden batches of this folder with Kafka's own classes. Run once per file set:
//   java -cp 'JARS/*' Golden.java OUTPUT_DIR      (JARS: kafka-clients 4.4.0 with dependencies)
// and reads batches back, one hex file per argument after "read":
//   java -cp 'JARS/*' Golden.java read FILE...

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

public class Golden {
    static final int HEADER = 61;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("read")) {
            for (int i = 1; i < args.length; i++) read(Path.of(args[i]));
            return;
        }
        Path out = Path.of(args[0]);
        byte[] plain = batch(Compression.NONE);
        write(out, "none", plain);
        write(out, "gzip", batch(Compression.gzip().build()));
        write(out, "snappy", batch(Compression.snappy().build()));
        write(out, "lz4", batch(Compression.lz4().build()));
        write(out, "zstd", batch(Compression.zstd().build()));
        byte[] body = java.util.Arrays.copyOfRange(plain, HEADER, plain.length);
        write(out, "snappy-raw", with(plain, 2, org.xerial.snappy.Snappy.compress(body)));
        ByteArrayOutputStream members = new ByteArrayOutputStream();
        for (int[] range : new int[][] {{0, 100}, {100, body.length}}) {
            GZIPOutputStream gzip = new GZIPOutputStream(members);
            gzip.write(body, range[0], range[1] - range[0]);
            gzip.finish();
        }
        write(out, "gzip-two-members", with(plain, 1, members.toByteArray()));
    }

    static byte[] batch(Compression compression) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2,
            compression, TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP, 4242L, (short) 3, 2147483645,
            false, RecordBatch.NO_PARTITION_LEADER_EPOCH);
        long at = 1_700_000_000_000L;
        builder.append(at, utf8("key"), utf8("value"), new Header[] {
            new RecordHeader("trace", utf8("abc")), new RecordHeader("trace", utf8("")),
            new RecordHeader("gr\u00fc\u00df", (byte[]) null)});
        builder.append(at - 1, (byte[]) null, utf8("no key, one millisecond earlier"), new Header[0]);
        builder.append(at + 3_000_000_000L, utf8("tombstone, 34 days later"), null, new Header[0]);
        builder.append(at, utf8(""), utf8(""), new Header[0]);
        builder.append(at, utf8("many"), utf8("0123456789abcdef".repeat(20)), new Header[0]);
        ByteBuffer bytes = builder.build().buffer();
        byte[] batch = new byte[bytes.remaining()];
        bytes.get(batch);
        return batch;
    }

    /** The batch with another codec and body. */
    static byte[] with(byte[] plain, int codec, byte[] body) {
        ByteBuffer batch = ByteBuffer.allocate(HEADER + body.length);
        batch.put(plain, 0, HEADER).put(body);
        batch.putInt(8, batch.capacity() - 12).putShort(21, (short) codec);
        CRC32C crc = new CRC32C();
        crc.update(batch.array(), 21, batch.capacity() - 21);
        batch.putInt(17, (int) crc.getValue());
        return batch.array();
    }

    static void write(Path out, String name, byte[] batch) throws Exception {
        String hex = HexFormat.of().formatHex(batch).replaceAll("(.{64})", "$1\n").strip() + "\n";
        Files.writeString(out.resolve("java-4.4.0-" + name + ".hex"), hex);
        print(name, batch);
    }

    static void read(Path path) throws Exception {
        print(path.toString(), HexFormat.of().parseHex(Files.readString(path).replaceAll("\\s", "")));
    }

    static void print(String name, byte[] batch) {
        for (MutableRecordBatch found : MemoryRecords.readableRecords(ByteBuffer.wrap(batch)).batches()) {
            found.ensureValid();
            System.out.println(name + ": " + found);
            for (Record record : found) System.out.println("  " + record + " key=" + record.keySize()
                + " value=" + record.valueSize() + " headers=" + java.util.Arrays.toString(record.headers()));
        }
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
