"""The synthetic_flowers data set: tf_flowers' five species, drawn procedurally. The offline default source."""
