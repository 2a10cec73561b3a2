import java.io.File;
import java.io.FileWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * A stateful job that ticks 50 times a second into the file named by its argument. A line is
 *
 * <pre>epochMillis value count attempt jobmanager</pre>
 *
 * The value is the source's position and the count is keyed state: both come from the same checkpoint, neither ever skips, and
 * a step back is what was processed again. The last two say who leads the job: the execution attempt and "name/number", the
 * JobManager that runs the job's coordinator and which of its coordinators it is, as that JobManager itself tells its tasks. (A
 * JobManager that takes over recovers the job as its predecessor stored it, so an argument of the job would name the first
 * JobManager for ever.) Two leaders at once show as lines of two coordinators that interleave.
 */
public class Ticker {
  private static final long PERIOD_MILLIS = 20;

  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.setParallelism(1);
    env.setBufferTimeout(0); // else ticks would arrive in bursts of 100 ms
    env.fromSource(new Ticks(), WatermarkStrategy.noWatermarks(), "ticks", Types.TUPLE(Types.LONG, Types.STRING))
        .keyBy(tick -> 0, Types.INT)
        .map(new Count(args[0]))
        .print();
    env.execute("ticker");
  }

  /** Counts the ticks and writes them. The file is opened late: open() differs between Flink 1.x and 2.x. */
  static class Count extends RichMapFunction<Tuple2<Long, String>, Long> {
    private final String path;
    private transient ValueState<Long> count;
    private transient FileWriter out;

    Count(String path) {
      this.path = path;
    }

    @Override
    public Long map(Tuple2<Long, String> tick) throws Exception {
      if (out == null) {
        count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        out = new FileWriter(path, true);
      }
      long next = count.value() == null ? 1 : count.value() + 1;
      count.update(next);
      out.write(System.currentTimeMillis() + " " + tick.f0 + " " + next + " " + tick.f1 + "\n");
      out.flush();
      return next;
    }

    @Override
    public void close() throws IOException {
      if (out != null) {
        out.close();
      }
    }
  }

  /** An endless source of one split, whose state is the next value. */
  static class Ticks implements Source<Tuple2<Long, String>, Position, Boolean> {
    @Override
    public Boundedness getBoundedness() {
      return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<Position, Boolean> createEnumerator(SplitEnumeratorContext<Position> context) {
      return new Coordinator(context, false);
    }

    @Override
    public SplitEnumerator<Position, Boolean> restoreEnumerator(SplitEnumeratorContext<Position> context, Boolean assigned) {
      return new Coordinator(context, assigned);
    }

    @Override
    public SourceReader<Tuple2<Long, String>, Position> createReader(SourceReaderContext context) {
      return new Reader();
    }

    @Override
    public SimpleVersionedSerializer<Position> getSplitSerializer() {
      return new Text<Position>() {
        @Override
        Position parse(String text) {
          return new Position(Long.parseLong(text));
        }
      };
    }

    @Override
    public SimpleVersionedSerializer<Boolean> getEnumeratorCheckpointSerializer() {
      return new Text<Boolean>() {
        @Override
        Boolean parse(String text) {
          return Boolean.valueOf(text);
        }
      };
    }
  }

  /** Runs in the JobManager: hands out the one split, and tells each attempt of the reader who its JobManager is. */
  static class Coordinator implements SplitEnumerator<Position, Boolean> {
    private static final AtomicInteger NUMBER = new AtomicInteger();

    private final SplitEnumeratorContext<Position> context;
    private final String name = System.getProperty("lab.jobmanager", "unknown") + "/" + NUMBER.incrementAndGet();
    private boolean assigned;

    Coordinator(SplitEnumeratorContext<Position> context, boolean assigned) {
      this.context = context;
      this.assigned = assigned;
    }

    @Override
    public void addReader(int subtask) {
      Map<Integer, ReaderInfo> attempts = context.registeredReadersOfAttempts().get(subtask);
      int attempt = attempts.keySet().stream().max(Integer::compare).get();
      context.sendEventToSourceReader(subtask, new Leader(attempt + " " + name));
      if (!assigned) {
        assigned = true;
        context.assignSplit(new Position(0), subtask);
      }
    }

    @Override
    public void addSplitsBack(List<Position> splits, int subtask) {
      assigned = assigned && splits.isEmpty();
    }

    @Override
    public Boolean snapshotState(long checkpoint) {
      return assigned;
    }

    /** Fills the heap once the file next to the JobManager's log asks for it. */
    @Override
    public void start() {
      Thread filler = new Thread(() -> {
        File asked = new File(System.getProperty("lab.log", "unknown") + ".fill");
        List<byte[]> held = new ArrayList<>();
        while (true) {
          if (asked.exists()) {
            held.add(new byte[64 << 10]);
            continue;
          }
          try {
            Thread.sleep(100);
          } catch (InterruptedException e) {
            return;
          }
        }
      }, "filler");
      filler.setDaemon(true);
      filler.start();
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {}

    @Override
    public void close() {}
  }

  /** Ticks once it has its position and knows its JobManager. */
  static class Reader implements SourceReader<Tuple2<Long, String>, Position> {
    private final CompletableFuture<Void> ready = new CompletableFuture<>();
    private Position position;
    private String leader;

    @Override
    public InputStatus pollNext(ReaderOutput<Tuple2<Long, String>> output) throws InterruptedException {
      if (position == null || leader == null) {
        return InputStatus.NOTHING_AVAILABLE;
      }
      Thread.sleep(PERIOD_MILLIS);
      output.collect(Tuple2.of(position.next, leader));
      position = new Position(position.next + 1);
      return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
      return ready;
    }

    @Override
    public void addSplits(List<Position> splits) {
      position = splits.get(0);
      checkReady();
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
      leader = ((Leader) event).text;
      checkReady();
    }

    private void checkReady() {
      if (position != null && leader != null) {
        ready.complete(null);
      }
    }

    @Override
    public List<Position> snapshotState(long checkpoint) {
      return position == null ? List.of() : List.of(position);
    }

    @Override
    public void start() {}

    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {}
  }

  /** "attempt jobmanager", sent by the coordinator. */
  static class Leader implements SourceEvent {
    final String text;

    Leader(String text) {
      this.text = text;
    }
  }

  static class Position implements SourceSplit {
    final long next;

    Position(long next) {
      this.next = next;
    }

    @Override
    public String splitId() {
      return "0";
    }

    @Override
    public String toString() {
      return Long.toString(next);
    }
  }

  /** Serializes by toString. */
  abstract static class Text<T> implements SimpleVersionedSerializer<T> {
    abstract T parse(String text);

    @Override
    public int getVersion() {
      return 1;
    }

    @Override
    public byte[] serialize(T value) {
      return value.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public T deserialize(int version, byte[] bytes) {
      return parse(new String(bytes, StandardCharsets.UTF_8));
    }
  }
}
