import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.checkpoint.CheckpointProperties;
import org.apache.flink.runtime.checkpoint.CheckpointRetentionPolicy;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.FinishedOperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.FullyFinishedOperatorState;
import org.apache.flink.runtime.checkpoint.MasterState;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.StateObjectCollection;
import org.apache.flink.runtime.checkpoint.channel.InputChannelInfo;
import org.apache.flink.runtime.checkpoint.channel.ResultSubpartitionInfo;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.runtime.state.IncrementalKeyedStateHandle.HandleAndLocalPath;
import org.apache.flink.runtime.state.IncrementalRemoteKeyedStateHandle;
import org.apache.flink.runtime.state.InputChannelStateHandle;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeOffsets;
import org.apache.flink.runtime.state.KeyGroupsSavepointStateHandle;
import org.apache.flink.runtime.state.KeyGroupsStateHandle;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.OperatorStreamStateHandle;
import org.apache.flink.runtime.state.ResultSubpartitionStateHandle;
import org.apache.flink.runtime.state.StreamStateHandle;
import org.apache.flink.runtime.state.changelog.ChangelogStateBackendHandle.ChangelogStateBackendHandleImpl;
import org.apache.flink.runtime.state.changelog.ChangelogStateHandleStreamImpl;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.runtime.state.filesystem.RelativeFileStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;

/** Writes metadata of checkpoints by Flink's own classes, with every kind of state that a checkpoint of these versions may hold. */
public class WriteMetadata {
    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        write(dir.resolve("empty"), Collections.emptyList(), Collections.emptyList(), checkpoint());
        write(dir.resolve("savepoint"), operators(keyGroupsOfSavepoint()), Collections.emptyList(), CheckpointProperties.forSavepoint(true, SavepointFormatType.CANONICAL));
        MasterState master = new MasterState("hook", new byte[] {1, 2, 3}, 7);
        for (Map.Entry<String, KeyedStateHandle> keyed :
                Map.of("groups", keyGroups(), "incremental", incremental(), "changelog", changelog()).entrySet()) {
            write(dir.resolve(keyed.getKey()), operators(keyed.getValue()), Arrays.asList(master, master), checkpoint());
        }
    }

    static CheckpointProperties checkpoint() {
        return CheckpointProperties.forCheckpoint(CheckpointRetentionPolicy.RETAIN_ON_CANCELLATION);
    }

    static void write(Path file, List<OperatorState> operators, List<MasterState> masters, CheckpointProperties properties) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Checkpoints.storeCheckpointMetadata(new CheckpointMetadata(42, operators, masters, properties), new DataOutputStream(bytes));
        Files.write(file, bytes.toByteArray());
    }

    static List<OperatorState> operators(KeyedStateHandle keyed) throws Exception {
        OperatorState some = operator(OperatorState.class, 1);
        some.setCoordinatorState(new ByteStreamStateHandle("coordinator", new byte[] {9, 9}));
        some.putState(0, OperatorSubtaskState.builder()
                .setManagedOperatorState(list(new ByteStreamStateHandle("in place", new byte[100])))
                .setRawOperatorState(list(file("raw")))
                .setManagedKeyedState(keyed)
                .setInputChannelState(StateObjectCollection.singleton(new InputChannelStateHandle(new InputChannelInfo(1, 2), file("in"), Arrays.asList(3L, 4L))))
                .setResultSubpartitionState(StateObjectCollection.singleton(new ResultSubpartitionStateHandle(new ResultSubpartitionInfo(1, 2), file("out"), Arrays.asList(5L))))
                .build());
        some.putState(1, FinishedOperatorSubtaskState.INSTANCE);
        some.putState(2, OperatorSubtaskState.builder().build());
        return Arrays.asList(some, operator(FullyFinishedOperatorState.class, 2), operator(OperatorState.class, 3));
    }

    /** From Flink 2.0 on operators have a name and a uid. */
    static <T extends OperatorState> T operator(Class<T> type, long id) throws Exception {
        OperatorID operatorId = new OperatorID(id, id);
        try {
            return type.getConstructor(OperatorID.class, int.class, int.class).newInstance(operatorId, 3, 128);
        } catch (NoSuchMethodException e) {
            return type.getConstructor(String.class, String.class, OperatorID.class, int.class, int.class)
                    .newInstance("operator " + id, "uid-" + id, operatorId, 3, 128);
        }
    }

    static StreamStateHandle file(String name) {
        return new FileStateHandle(new org.apache.flink.core.fs.Path("file:///checkpoints/" + name), 1234);
    }

    static StreamStateHandle relative(String name) {
        return new RelativeFileStateHandle(new org.apache.flink.core.fs.Path("file:///checkpoints/" + name), name, 1234);
    }

    static OperatorStateHandle list(StreamStateHandle delegate) {
        return new OperatorStreamStateHandle(
                Map.of("offsets", new OperatorStateHandle.StateMetaInfo(new long[] {0, 8, 16}, OperatorStateHandle.Mode.SPLIT_DISTRIBUTE)), delegate);
    }

    static KeyGroupRangeOffsets offsets() {
        return new KeyGroupRangeOffsets(KeyGroupRange.of(0, 3), new long[] {0, 10, 20, 30});
    }

    static KeyedStateHandle keyGroups() {
        return new KeyGroupsStateHandle(offsets(), relative("groups"));
    }

    static KeyedStateHandle keyGroupsOfSavepoint() {
        return new KeyGroupsSavepointStateHandle(offsets(), relative("groups"));
    }

    static KeyedStateHandle incremental() {
        List<HandleAndLocalPath> files = new ArrayList<>();
        files.add(HandleAndLocalPath.of(file("000001.sst"), "000001.sst"));
        files.add(HandleAndLocalPath.of(new ByteStreamStateHandle("small", new byte[20]), "000002.sst"));
        return new IncrementalRemoteKeyedStateHandle(new UUID(1, 2), KeyGroupRange.of(0, 3), 42, files, files, file("MANIFEST"));
    }

    static KeyedStateHandle changelog() {
        ChangelogStateHandleStreamImpl delta = new ChangelogStateHandleStreamImpl(
                Collections.singletonList(org.apache.flink.api.java.tuple.Tuple2.of(file("changes"), 8L)), KeyGroupRange.of(0, 3), 100, 50, "filesystem");
        return new ChangelogStateBackendHandleImpl(
                Collections.singletonList(incremental()), Collections.singletonList(delta), KeyGroupRange.of(0, 3), 42, 7, 99);
    }
}
