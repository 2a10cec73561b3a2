import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.flink.kubernetes.shaded.io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaderElectionRecord;
import org.apache.flink.kubernetes.shaded.io.fabric8.kubernetes.client.utils.Serialization;

/**
 * Reads one election record a line with the parser that Flink itself uses, and answers a line each: "free", "held HOLDER" or
 * "unreadable CLASS". A record is free for a contender if its holder is empty or its lease is over (LeaderElector.canBecomeLeader).
 */
public class ReadRecords {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.println(read(line));
    }
  }

  private static String read(String line) {
    try {
      LeaderElectionRecord r = Serialization.unmarshal(line, LeaderElectionRecord.class);
      // What a contender does with it: all three are used without a check for null.
      r.getLeaseDuration().toMillis();
      r.getAcquireTime().toInstant();
      r.getRenewTime().toInstant();
      String holder = r.getHolderIdentity();
      return holder == null || holder.isEmpty() ? "free" : "held " + holder;
    } catch (Exception e) {
      return "unreadable " + e.getClass().getSimpleName();
    }
  }
}
