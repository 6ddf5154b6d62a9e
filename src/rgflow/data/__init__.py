"""Input data: readers of data sets and the selection of what networks see."""
