// Reads messages, a JSON list on standard input, by simple-hl7, and prints what it found in each.
const fs = require("fs");
const hl7 = require("simple-hl7");

const found = JSON.parse(fs.readFileSync(0, "utf8")).map((text) => {
  const message = new hl7.Parser().parse(text);
  return {
    id: message.header.getField(8),
    sample: message.getSegment("OBR").getField(3),
    rows: message.getSegments("OBX").map((obx) => [
      obx.getComponent(3, 1),
      obx.getComponent(5, 1),
      obx.getComponent(6, 1),
    ]),
  };
});
process.stdout.write(JSON.stringify(found));
