"""The Hugging Face Hub, or whatever speaks like it: the only importer of huggingface_hub and of its HTTP client."""
