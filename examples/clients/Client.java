// A client of Jobstream with Kafka's Java client alone, without Avro; docs/clients.md tells what it says and reads.
//
//     java -cp <Kafka's jars> Client.java produce HOST:PORT TOPIC [partitioner class] < lines of key, tab, value
//     java -cp <Kafka's jars> Client.java facts HOST:PORT TOPIC
//
// Its default partitioner is murmur2 of the key, which is the home partition.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Client {
    static final int WIRE_HEAD_BYTES = 5;

    public static void main(String[] words) throws Exception {
        var settings = new Properties();
        settings.put("bootstrap.servers", words[1]);
        if (words[0].equals("produce")) {
            produce(settings, words[2], words.length > 3 ? words[3] : null);
        } else {
            facts(settings, words[2]);
        }
    }

    static void produce(Properties settings, String topic, String partitioner) throws Exception {
        if (partitioner != null) {
            settings.put("partitioner.class", partitioner);
        }
        var bytes = new ByteArraySerializer();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
            var sent = new ArrayList<Future<?>>();
            for (String line; (line = lines.readLine()) != null; ) {
                var tab = line.indexOf('\t');
                var key = tab == 0 ? null : line.substring(0, tab).getBytes(StandardCharsets.UTF_8);
                var value = line.substring(tab + 1).getBytes(StandardCharsets.UTF_8);
                sent.add(producer.send(new ProducerRecord<>(topic, key, value)));
            }
            for (var each : sent) {
                each.get();
            }
        }
    }

    static void facts(Properties settings, String topic) {
        settings.put("isolation.level", "read_committed");
        settings.put("fetch.max.wait.ms", "10");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            var partitions = new ArrayList<TopicPartition>();
            consumer.partitionsFor(topic).forEach(each -> partitions.add(new TopicPartition(topic, each.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    var value = ByteBuffer.wrap(record.value());
                    value.position(WIRE_HEAD_BYTES);
                    System.out.println(String.join("\t", "" + record.partition(), text(value), text(value), text(value),
                        "" + number(value)));
                }
            }
        }
    }

    // Avro's long: seven bits a byte, the lowest first; then zigzag, so that small negative numbers are short.
    static long number(ByteBuffer value) {
        long raw = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = value.get();
            raw |= (long) (next & 127) << shift;
            if (next >= 0) {
                return raw >>> 1 ^ -(raw & 1);
            }
        }
    }

    // Avro's string: its length in bytes, then UTF-8.
    static String text(ByteBuffer value) {
        var bytes = new byte[(int) number(value)];
        value.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
