// Reads result files as OpenELIS' analyzer bridge does, with the same library and settings: Apache
// Commons CSV, DEFAULT with the header from the file, trimmed, without empty lines.
//
// java -cp commons-csv.jar OpenElisBridge.java DELIMITER SKIP_ROWS GLOB HEADER=FIELD...
//
// For each folder on standard input, one line of JSON on standard output: its files in the order of
// their names, with what became of each and the rows that were taken.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.security.MessageDigest;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVRecord;

public class OpenElisBridge {
  static final long LARGEST_BYTES = 20L << 20;
  static final int LONGEST_NUMBER = 48;
  static final Pattern NUMBER =
      Pattern.compile("[+-]?(\\d{1,18}(\\.\\d{0,18})?|\\.\\d{1,18})([eE][+-]?\\d{1,3})?");

  final char delimiter;
  final int skipRows;
  final PathMatcher glob;
  final Map<String, String> headerOf = new LinkedHashMap<>();

  OpenElisBridge(String[] words) {
    delimiter = words[0].charAt(0);
    skipRows = Integer.parseInt(words[1]);
    glob = FileSystems.getDefault().getPathMatcher("glob:" + words[2]);
    for (String pair : Arrays.copyOfRange(words, 3, words.length)) {
      int at = pair.lastIndexOf('=');
      headerOf.put(pair.substring(at + 1), pair.substring(0, at));
    }
  }

  public static void main(String[] words) throws Exception {
    OpenElisBridge bridge = new OpenElisBridge(words);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String folder = in.readLine(); folder != null; folder = in.readLine()) {
      out.println(bridge.folder(Path.of(folder)));
    }
  }

  String folder(Path folder) throws Exception {
    Set<String> seen = new HashSet<>();
    List<String> files = new ArrayList<>();
    List<Path> paths;
    try (Stream<Path> found = Files.list(folder)) {
      paths = found.sorted().collect(Collectors.toList());
    }
    for (Path path : paths) {
      files.add(file(path, seen));
    }
    return "[" + String.join(",", files) + "]";
  }

  String file(Path path, Set<String> seen) throws Exception {
    String outcome = "taken";
    List<String> rows = new ArrayList<>();
    if (!Files.isRegularFile(path) || Files.isHidden(path)) {
      outcome = "hidden";
    } else if (!glob.matches(path.getFileName())) {
      outcome = "other name";
    } else if (Files.size(path) > LARGEST_BYTES) {
      outcome = "too large";
    } else if (!seen.add(hash(path))) {
      outcome = "same bytes";
    } else {
      try {
        rows = rows(text(Files.readAllBytes(path)));
        outcome = rows.isEmpty() ? "no results" : "taken";
      } catch (IOException | RuntimeException error) {
        outcome = "refused";
      }
    }
    return "{\"name\":" + quoted(path.getFileName().toString()) + ",\"outcome\":" + quoted(outcome)
        + ",\"rows\":[" + String.join(",", rows) + "]}";
  }

  List<String> rows(String text) throws IOException {
    String[] lines = text.split("\\r?\\n");
    StringBuilder body = new StringBuilder();
    for (int i = skipRows; i < lines.length; i++) {
      body.append(lines[i]).append("\n");
    }
    CSVFormat format = CSVFormat.DEFAULT.builder().setDelimiter(delimiter).setHeader()
        .setSkipHeaderRecord(true).setIgnoreEmptyLines(true).setTrim(true).build();
    List<String> rows = new ArrayList<>();
    for (CSVRecord line : format.parse(new StringReader(body.toString()))) {
      String sample = cell(line, "sampleId");
      String test = cell(line, "testCode");
      String value = cell(line, "result");
      if (sample != null && test != null && value != null) {
        rows.add(row(sample, test, value, cell(line, "units"), cell(line, "testDate")));
      }
    }
    return rows;
  }

  String cell(CSVRecord line, String field) {
    String header = headerOf.get(field);
    if (header == null || !line.isMapped(header) || !line.isSet(header)) {
      return null;
    }
    String value = line.get(header);
    return value.isBlank() ? null : value.trim();
  }

  // A text has no unit, and a time in another form is dropped.
  static String row(String sample, String test, String value, String unit, String time) {
    boolean isNumber = value.length() <= LONGEST_NUMBER && NUMBER.matcher(value).matches();
    return "{\"sample\":" + quoted(sample) + ",\"test\":" + quoted(test) + ",\"value\":"
        + quoted(value) + ",\"is_number\":" + isNumber + ",\"unit\":"
        + quoted(isNumber ? unit : null) + ",\"time\":" + quoted(time(time)) + "}";
  }

  static String time(String text) {
    try {
      return text == null ? null : OffsetDateTime.parse(text).toInstant().toString();
    } catch (DateTimeException error) {
      return null;
    }
  }

  static String text(byte[] content) {
    String text = new String(content, StandardCharsets.UTF_8);
    return text.startsWith("\ufeff") ? text.substring(1) : text;
  }

  static String hash(Path path) throws Exception {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(path));
    return Arrays.toString(digest);
  }

  static String quoted(String text) {
    if (text == null) {
      return "null";
    }
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      json.append(c < 0x20 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : c);
    }
    return json.append('"').toString();
  }
}
