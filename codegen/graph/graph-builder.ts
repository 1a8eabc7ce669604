/** What graph builders of all families do: collect matrices and vectors while op lists are written. */
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { MatrixInfo, Op, VectorInfo } from './graph.js';

export interface LinearPlace {
  /** Name of the matrix in plans. */
  readonly matrix: string;
  /** Tensor without its .weight or .bias. */
  readonly tensor: string;
  readonly input: string;
  readonly output: string;
  readonly range: string;
  readonly gain?: number;
}

export class GraphBuilder {
  readonly matrices: MatrixInfo[] = [];
  readonly vectors: VectorInfo[] = [];

  constructor(readonly checkpoint: Checkpoint) {}

  matrix(name: string, tensor: string, rows: number, columns: number, aliases: string[] = []): string {
    this.matrices.push({ name, tensor, rows, columns, aliases });
    return name;
  }

  vector(name: string, tensor: string, length: number): string {
    this.vectors.push({ name, tensor, length });
    return name;
  }

  /** The vector of a bias where the checkpoint has one, else null. */
  bias(name: string, tensor: string, length: number): string | null {
    return this.checkpoint.tensors.has(tensor) ? this.vector(name, tensor, length) : null;
  }

  /** A linear op; its bias is used where the checkpoint has one. */
  linear(name: string, place: LinearPlace, rows: number, columns: number): Op {
    const { matrix, tensor, input, output, range, gain = 1 } = place;
    return {
      kind: 'linear',
      name,
      matrix: this.matrix(matrix, `${tensor}.weight`, rows, columns),
      bias: this.bias(`${matrix}.bias`, `${tensor}.bias`, rows),
      input,
      output,
      range,
      gain,
    };
  }

  layernorm(
    name: string,
    place: { vector: string; tensor: string; input: string; output: string; range: string; epsilon: number },
    width: number,
  ): Op {
    const { vector, tensor, input, output, range, epsilon } = place;
    const gains = this.vector(vector, `${tensor}.weight`, width);
    const bias = this.bias(`${vector}.bias`, `${tensor}.bias`, width);
    return { kind: 'layernorm', name, gains, bias, input, output, epsilon, range };
  }
}
