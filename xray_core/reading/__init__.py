"""Films before readers: lists, the films themselves, settled labels, agreement."""
