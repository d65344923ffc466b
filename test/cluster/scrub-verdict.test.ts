/** Who is right when replicas differ: by cases, and by a naive count over all small groups. */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { compareReplicas } from '../../src/cluster/scrub-verdict.ts';

const said = (...opinions: readonly (readonly [number, string])[]) => new Map(opinions);
const three = { voters: [1, 2, 3], votersOutgoing: [] };

describe('the verdict of a scrub', () => {
  it('equal replicas are equal, however few said something', () => {
    assert.deepEqual(compareReplicas(said(), three), { kind: 'equal' });
    assert.deepEqual(compareReplicas(said([2, 'a']), three), { kind: 'equal' });
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'a'], [3, 'a']), three), { kind: 'equal' });
  });

  it('one against two is in the minority, the leader too', () => {
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'b'], [3, 'a']), three), { kind: 'minority', nodes: [2] });
    assert.deepEqual(compareReplicas(said([1, 'b'], [2, 'a'], [3, 'a']), three), { kind: 'minority', nodes: [1] });
  });

  it('nobody is condemned by half: one against one, also if the third is away; three opinions; two of four', () => {
    const undecided = { kind: 'undecided' };
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'b']), { voters: [1, 2], votersOutgoing: [] }), undecided);
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'b']), three), undecided);
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'b'], [3, 'c']), three), undecided);
    const four = { voters: [1, 2, 3, 4], votersOutgoing: [] };
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'b'], [3, 'a'], [4, 'b']), four), undecided);
  });

  it('learners are counted with nobody, and may be wrong', () => {
    assert.deepEqual(compareReplicas(said([1, 'a'], [2, 'a'], [9, 'b']), three), { kind: 'minority', nodes: [9] });
    assert.deepEqual(compareReplicas(said([1, 'a'], [8, 'b'], [9, 'b']), three), { kind: 'undecided' });
  });

  it('a change of membership needs both majorities', () => {
    const joint = { voters: [1, 2, 3], votersOutgoing: [3, 4, 5] };
    const opinions = said([1, 'a'], [2, 'a'], [3, 'b'], [4, 'b'], [5, 'b']);
    assert.deepEqual(compareReplicas(opinions, joint), { kind: 'undecided' });
    const agreed = said([1, 'a'], [2, 'a'], [3, 'b'], [4, 'a'], [5, 'a']);
    assert.deepEqual(compareReplicas(agreed, joint), { kind: 'minority', nodes: [3] });
  });

  it('never condemns a majority of the voters, and only those that said otherwise', () => {
    const opinion = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.array(opinion, { minLength: 9, maxLength: 9 }), (count, all) => {
        const voters = Array.from({ length: count }, (_, i) => i + 1);
        const opinions = new Map(all.flatMap((one, i) => (one === undefined ? [] : [[i + 1, one] as const])));
        const result = compareReplicas(opinions, { voters, votersOutgoing: [] });
        if (result.kind !== 'minority') return;
        const rest = [...opinions].filter(([node]) => !result.nodes.includes(node));
        assert.equal(new Set(rest.map(([, one]) => one)).size, 1);
        assert.ok(rest.filter(([node]) => voters.includes(node)).length > count / 2);
        assert.ok(result.nodes.every((node) => opinions.get(node) !== rest[0]?.[1]));
      }),
    );
  });
});
