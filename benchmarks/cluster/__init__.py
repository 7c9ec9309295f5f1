"""The split shape against one process, and what it does when nodes die."""
