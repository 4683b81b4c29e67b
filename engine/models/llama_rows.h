/* llama_rows.h - private to engine/models: the tensors of networks of Llama's shape, in the order of a pack file. */
#ifndef ENGINE_MODELS_LLAMA_ROWS_H
#define ENGINE_MODELS_LLAMA_ROWS_H

#include "engine/models/table.h"

#define LLAMA_FRONT \
	{ONCE(embed), .kind = WEIGHT_TABLE, .cols = AXIS_HIDDEN, \
	 .piece = {{"model.embed_tokens.weight", AXIS_VOCAB}}}, \
		{IN_LAYER(qkv), .cols = AXIS_HIDDEN, .heads = true, \
		 .piece = {{"self_attn.q_proj.weight", AXIS_Q}, \
			   {"self_attn.k_proj.weight", AXIS_KV}, \
			   {"self_attn.v_proj.weight", AXIS_KV}}, \
		 .fused = {"self_attn.qkv_proj.weight", "self_attn.W_pack.weight"}}, \
	{ \
		IN_LAYER(o), .cols = AXIS_Q, .piece = { {"self_attn.o_proj.weight", AXIS_HIDDEN} } \
	}

/* A dense FFN, `in` LAYERS_ALL or LAYERS_DENSE. */
#define LLAMA_FFN(in) \
	{IN_LAYER(gate_up), \
	 .cols = AXIS_HIDDEN, \
	 .piece = {{"mlp.gate_proj.weight", AXIS_FFN}, {"mlp.up_proj.weight", AXIS_FFN}}, \
	 .fused = {"mlp.gate_up_proj.weight"}, \
	 .paired = true, \
	 .layers = in}, \
	{ \
		IN_LAYER(down), .cols = AXIS_FFN, .piece = {{"mlp.down_proj.weight", AXIS_HIDDEN}}, .layers = in \
	}

#define LLAMA_BACK \
	{IN_LAYER(norm_att), .kind = WEIGHT_GAIN, .piece = {{"input_layernorm.weight", AXIS_HIDDEN}}}, \
		{IN_LAYER(norm_ffn), .kind = WEIGHT_GAIN, \
		 .piece = {{"post_attention_layernorm.weight", AXIS_HIDDEN}}}, \
		{IN_LAYER(qkv_bias), \
		 .kind = WEIGHT_BIAS, \
		 .part = PART_QKV_BIAS, \
		 .heads = true, \
		 .piece = {{"self_attn.q_proj.bias", AXIS_Q}, \
			   {"self_attn.k_proj.bias", AXIS_KV}, \
			   {"self_attn.v_proj.bias", AXIS_KV}}, \
		 .fused = {"self_attn.qkv_proj.bias"}}, \
		{IN_LAYER(o_bias), .kind = WEIGHT_BIAS, .part = PART_O_BIAS, \
		 .piece = {{"self_attn.o_proj.bias", AXIS_HIDDEN}}}, \
		{IN_LAYER(gate_up_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS, \
		 .piece = {{"mlp.gate_proj.bias", AXIS_FFN}, {"mlp.up_proj.bias", AXIS_FFN}}}, \
		{IN_LAYER(down_bias), .kind = WEIGHT_BIAS, .part = PART_FFN_BIAS, \
		 .piece = {{"mlp.down_proj.bias", AXIS_HIDDEN}}}, \
		{IN_LAYER(q_norm), .kind = WEIGHT_GAIN, .part = PART_HEAD_NORM, \
		 .piece = {{"self_attn.q_norm.weight", AXIS_HEAD}}}, \
		{IN_LAYER(k_norm), .kind = WEIGHT_GAIN, .part = PART_HEAD_NORM, \
		 .piece = {{"self_attn.k_norm.weight", AXIS_HEAD}}}, \
		{ONCE(norm_out), .kind = WEIGHT_GAIN, .piece = {{"model.norm.weight", AXIS_HIDDEN}}}, \
	{ \
		ONCE(head), .kind = WEIGHT_HEAD, .cols = AXIS_HIDDEN, .piece = { {"lm_head.weight", AXIS_VOCAB} } \
	}

#endif
