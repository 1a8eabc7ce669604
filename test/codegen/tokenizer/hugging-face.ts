/** The other implementation that tests compare with: @huggingface/tokenizers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';

export class HuggingFace {
  private readonly tokenizer: Tokenizer;

  constructor(folder: string) {
    const read = (name: string): object => JSON.parse(readFileSync(join(folder, name), 'utf8'));
    this.tokenizer = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
  }

  encode(text: string, addBos: boolean): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: addBos }).ids;
  }

  decode(ids: readonly number[]): string {
    if (ids.length === 0) return ''; // which it refuses
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    return this.tokenizer.decode([...ids], options);
  }
}
