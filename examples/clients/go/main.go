// A client of Jobstream with kafka-go alone, without Avro; docs/clients.md tells what it says and reads.
//
//	go run . produce HOST:PORT TOPIC [murmur2 | crc32 | fnv | any] < lines of key, tab, value
//	go run . facts HOST:PORT TOPIC
//
// The library's default takes any partition; ours is murmur2 of the key, which is the home partition.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

const wireHeadBytes = 5

var balancers = map[string]kafka.Balancer{
	"murmur2": kafka.Murmur2Balancer{},
	"crc32":   kafka.CRC32Balancer{},
	"fnv":     &kafka.Hash{}, // as the client Sarama
	"any":     &kafka.RoundRobin{},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	verb, bootstrap, topic := os.Args[1], os.Args[2], os.Args[3]
	if verb == "facts" {
		facts(ctx, bootstrap, topic)
		return
	}
	balancer := balancers["murmur2"]
	if len(os.Args) > 4 {
		balancer = balancers[os.Args[4]]
	}
	produce(ctx, bootstrap, topic, balancer)
}

func produce(ctx context.Context, bootstrap, topic string, balancer kafka.Balancer) {
	writer := &kafka.Writer{
		Addr:         kafka.TCP(bootstrap),
		Topic:        topic,
		Balancer:     balancer,
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 5 * time.Millisecond,
	}
	var messages []kafka.Message
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "\t")
		message := kafka.Message{Value: []byte(value)}
		if key != "" {
			message.Key = []byte(key)
		}
		messages = append(messages, message)
	}
	must(lines.Err())
	must(writer.WriteMessages(ctx, messages...))
	must(writer.Close())
}

func facts(ctx context.Context, bootstrap, topic string) {
	first, err := kafka.DialContext(ctx, "tcp", bootstrap)
	must(err)
	partitions, err := first.ReadPartitions(topic)
	must(err)
	must(first.Close())
	for _, partition := range partitions {
		tell(ctx, bootstrap, topic, partition.ID)
	}
}

func tell(ctx context.Context, bootstrap, topic string, partition int) {
	leader, err := kafka.DialLeader(ctx, "tcp", bootstrap, topic, partition)
	must(err)
	end, err := leader.ReadLastOffset()
	must(err)
	must(leader.Close())
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:        []string{bootstrap},
		Topic:          topic,
		Partition:      partition,
		MaxWait:        10 * time.Millisecond,
		IsolationLevel: kafka.ReadCommitted,
	})
	defer reader.Close()
	for at := int64(0); at < end; {
		message, err := reader.ReadMessage(ctx)
		must(err)
		rest := message.Value[wireHeadBytes:]
		fact, job, key := text(&rest), text(&rest), text(&rest)
		fmt.Printf("%d\t%s\t%s\t%s\t%d\n", partition, fact, job, key, number(&rest))
		at = message.Offset + 1
	}
}

// Avro's long is Go's own varint: seven bits a byte, zigzag.
func number(rest *[]byte) int64 {
	value, size := binary.Varint(*rest)
	*rest = (*rest)[size:]
	return value
}

// Avro's string: its length in bytes, then UTF-8.
func text(rest *[]byte) string {
	size := number(rest)
	value := string((*rest)[:size])
	*rest = (*rest)[size:]
	return value
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
