"""Item files of any size and kind, read and checked row by row. numpy and pyarrow, nothing heavier."""
