import com.google.gson.Gson;
import com.google.protobuf.FieldMask;
import com.google.protobuf.Int32Value;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.StringValue;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.EquivalentAddressGroup;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.NameResolver;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import shortlist.v1.AttributeCondition;
import shortlist.v1.Event;
import shortlist.v1.EventKind;
import shortlist.v1.RecommendRequest;
import shortlist.v1.RecommendResponse;
import shortlist.v1.RecommendStreamRequest;
import shortlist.v1.RecommendStreamResponse;
import shortlist.v1.RecommenderServiceGrpc;
import shortlist.v1.StringSet;

/** Asks a Shortlist gateway. build.sh makes the messages from the protos first. */
public final class Client {
  private static final String USAGE = "usage: client recommend|health|stream --address HOST:PORT[,HOST:PORT] [flags]";
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private String command;
  private String address;
  private String text = "";
  private String ca;
  private String protos = "../../protos";
  private final List<String> events = new ArrayList<>();
  private final List<String> where = new ArrayList<>();
  private int k = 10;
  private int times = 1;
  private long deadlineMs = 1000;

  private Client(String[] words) {
    if (words.length == 0) throw new IllegalArgumentException(USAGE);
    command = words[0];
    for (int place = 1; place < words.length; place += 2) {
      if (place + 1 == words.length) throw new IllegalArgumentException(words[place] + " needs a value\n" + USAGE);
      String value = words[place + 1];
      switch (words[place]) {
        case "--address": address = value; break;
        case "--text": text = value; break;
        case "--ca": ca = value; break;
        case "--protos": protos = value; break;
        case "--event": events.add(value); break;
        case "--where": where.add(value); break;
        case "--k": k = Integer.parseInt(value); break;
        case "--times": times = Integer.parseInt(value); break;
        case "--deadline-ms": deadlineMs = Long.parseLong(value); break;
        default: throw new IllegalArgumentException("unknown flag " + words[place] + "\n" + USAGE);
      }
    }
    if (!List.of("recommend", "health", "stream").contains(command) || address == null) {
      throw new IllegalArgumentException(USAGE);
    }
  }

  /** Resolves to the addresses that were given, so that calls take turns over them. */
  private static final class Addresses extends NameResolver.Factory {
    private final List<EquivalentAddressGroup> groups = new ArrayList<>();

    Addresses(String list) {
      for (String one : list.split(",")) {
        int cut = one.lastIndexOf(':');
        int port = Integer.parseInt(one.substring(cut + 1));
        groups.add(new EquivalentAddressGroup(new InetSocketAddress(one.substring(0, cut), port)));
      }
    }

    @Override
    public NameResolver newNameResolver(URI target, NameResolver.Args args) {
      return new NameResolver() {
        @Override
        public String getServiceAuthority() {
          return "localhost";
        }

        @Override
        public void start(Listener2 listener) {
          listener.onResult(ResolutionResult.newBuilder().setAddresses(groups).build());
        }

        @Override
        public void shutdown() {}
      };
    }

    @Override
    public String getDefaultScheme() {
      return "gateways";
    }
  }

  /** The service config repeats a failed call once, within a budget. */
  private ManagedChannel connect() throws IOException {
    ChannelCredentials credentials = InsecureChannelCredentials.create();
    if (ca != null) credentials = TlsChannelCredentials.newBuilder().trustManager(new File(ca)).build();
    String config = Files.readString(Path.of(protos, "shortlist", "v1", "service_config.json"));
    @SuppressWarnings("unchecked")
    Map<String, Object> parsed = new Gson().fromJson(config, Map.class);
    boolean several = address.contains(",");
    NettyChannelBuilder builder = NettyChannelBuilder.forTarget(several ? "gateways:///" : address, credentials);
    if (several) builder.nameResolverFactory(new Addresses(address));
    return builder.defaultServiceConfig(parsed).enableRetry().proxyDetector(server -> null).build();
  }

  private RecommendRequest request() {
    RecommendRequest.Builder request = RecommendRequest.newBuilder().setK(k);
    if (!text.isEmpty()) request.setText(text);
    request.setItemMask(FieldMask.newBuilder().addPaths("title"));
    for (String word : events) {
      String[] parts = word.split(":", 2);
      EventKind kind = EventKind.valueOf("EVENT_KIND_" + parts[0].toUpperCase(Locale.ROOT));
      request.addEvents(Event.newBuilder().setItemId(parts[1]).setKind(kind));
    }
    for (String word : where) {
      String[] parts = word.split("=", 2);
      StringSet values = StringSet.newBuilder().addAllValues(Arrays.asList(parts[1].split(","))).build();
      request.addConditions(AttributeCondition.newBuilder().setAttribute(parts[0]).setAnyOf(values));
    }
    return request.build();
  }

  private int recommend(ManagedChannel channel) {
    RecommendResponse reply =
        RecommenderServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(deadlineMs, TimeUnit.MILLISECONDS)
            .recommend(request());
    reply.getItemsList().forEach(
        item -> System.out.println(item.getRank() + "\t" + item.getId() + "\t" + item.getItem().getTitle()));
    reply.getDegradationsList().forEach(one -> System.err.println(one.getReason() + ": " + one.getDetail()));
    return 0;
  }

  /** grpc.health.v1's two messages have one field each: on the wire they are a StringValue and an Int32Value. */
  private int health(ManagedChannel channel) {
    MethodDescriptor<StringValue, Int32Value> check =
        MethodDescriptor.<StringValue, Int32Value>newBuilder()
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName("grpc.health.v1.Health/Check")
            .setRequestMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
            .setResponseMarshaller(ProtoUtils.marshaller(Int32Value.getDefaultInstance()))
            .build();
    CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(deadlineMs, TimeUnit.MILLISECONDS);
    int status = ClientCalls.blockingUnaryCall(channel, check, options, StringValue.getDefaultInstance()).getValue();
    String[] names = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    System.out.println(status >= 0 && status < names.length ? names[status] : names[0]);
    return status == 1 ? 0 : 1;
  }

  /** Sends a request for each line of standard input while the outcomes are read. */
  private int stream(ManagedChannel channel) throws IOException, InterruptedException {
    CountDownLatch done = new CountDownLatch(1);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    io.grpc.stub.ClientCallStreamObserver<RecommendStreamRequest> out =
        (io.grpc.stub.ClientCallStreamObserver<RecommendStreamRequest>)
            RecommenderServiceGrpc.newStub(channel).recommendStream(new StreamObserver<RecommendStreamResponse>() {
              @Override
              public void onNext(RecommendStreamResponse entry) {
                String outcome =
                    entry.hasError()
                        ? entry.getError().getReason() + "\t" + entry.getError().getMessage()
                        : entry.getResponse().getItemsCount() == 0 ? "" : entry.getResponse().getItems(0).getId();
                System.out.println(entry.getIndex() + "\t" + outcome);
              }

              @Override
              public void onError(Throwable error) {
                failure.set(error);
                done.countDown();
              }

              @Override
              public void onCompleted() {
                done.countDown();
              }
            });
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line = lines.readLine(); line != null && done.getCount() > 0; line = lines.readLine()) {
      // Without this everything would be buffered here: the gateway takes 32 entries at a time.
      while (!out.isReady() && done.getCount() > 0) Thread.sleep(1);
      RecommendRequest request = RecommendRequest.newBuilder().setText(line).setK(k).build();
      out.onNext(RecommendStreamRequest.newBuilder().setRequest(request).build());
    }
    if (done.getCount() > 0) out.onCompleted();
    done.await();
    if (failure.get() instanceof StatusRuntimeException) throw (StatusRuntimeException) failure.get();
    return 0;
  }

  /** Prints status, reason and the fields that were wrong. */
  private static void printRefusal(StatusRuntimeException error) throws InvalidProtocolBufferException {
    byte[] raw = error.getTrailers() == null ? null : error.getTrailers().get(DETAILS);
    String reason = "";
    List<BadRequest.FieldViolation> violations = List.of();
    for (com.google.protobuf.Any detail : com.google.rpc.Status.parseFrom(raw == null ? new byte[0] : raw).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) reason = " (" + detail.unpack(ErrorInfo.class).getReason() + ")";
      if (detail.is(BadRequest.class)) violations = detail.unpack(BadRequest.class).getFieldViolationsList();
    }
    System.err.println(error.getStatus().getCode() + reason + ": " + error.getStatus().getDescription());
    violations.forEach(one -> System.err.println("  " + one.getField() + ": " + one.getDescription()));
  }

  public static void main(String[] words) throws Exception {
    try {
      Client client = new Client(words);
      ManagedChannel channel = client.connect();
      int status = 0;
      for (int call = 0; call < client.times && status == 0; call++) {
        status =
            client.command.equals("recommend") ? client.recommend(channel)
                : client.command.equals("health") ? client.health(channel) : client.stream(channel);
      }
      channel.shutdownNow();
      System.exit(status);
    } catch (IllegalArgumentException error) {
      System.err.println(error.getMessage());
      System.exit(2);
    } catch (StatusRuntimeException error) {
      printRefusal(error);
      System.exit(1);
    }
  }
}
