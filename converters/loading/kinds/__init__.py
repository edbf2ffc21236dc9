"""What kind of model a file holds, and whether it is quantized already."""
