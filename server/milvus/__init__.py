"""The catalogue on Milvus: for one that outgrows a machine."""
