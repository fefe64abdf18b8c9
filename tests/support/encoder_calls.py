"""Calls of an encoder on Triton as the gateway makes them."""


async def encode(client, input_ids, attention_mask, *, version, timeout_s):
    """Returns the vectors of int64[B, L] token ids, float32[B, d]."""
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    return await client.infer("encoder", version, inputs, output="sentence_embedding", timeout_s=timeout_s)
