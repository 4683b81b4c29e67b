/* documents.h - a GGUF file as the documents that transformers keep beside a model's weights. Readers of a model's
 * folder read FILE.gguf/config.json and so on, so they need not know the format. */
#ifndef ENGINE_GGUF_DOCUMENTS_H
#define ENGINE_GGUF_DOCUMENTS_H

/* From now on file_read() finds these documents in GGUF files. */
void gguf_serve_documents(void);

#endif
