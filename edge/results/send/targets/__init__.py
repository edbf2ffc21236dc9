"""One attempt at handing a result over: a file in a drop folder, or a message over MLLP."""
